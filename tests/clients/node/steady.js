// kafkajs: the steady client that ../python/steady.py describes.
'use strict'

const { openSync, writeSync } = require('fs')
const { Kafka, logLevel } = require('kafkajs')
const { version } = require('kafkajs/package.json')

const SIZE = 100
const COMMIT_MS = 1000

const [mode, bootstrap, user, password, topic, ...rest] = process.argv.slice(2)
const options = { 'deadline-seconds': '300' }
for (let n = 0; n < rest.length; n += 2) {
  options[rest[n].replace(/^--/, '')] = rest[n + 1]
}

const journal = openSync(options.journal, 'w')
const begun = performance.now()
let ended = false
let sent = 0

function milliseconds() {
  return performance.timeOrigin + performance.now()
}

function write(kind, ...fields) {
  const texts = fields.map((field) => String(field).replace(/\s+/g, ' ').trim())
  writeSync(journal, `${[kind, milliseconds().toFixed(3), ...texts].join('\t')}\n`)
}

function goesOn() {
  return !ended && performance.now() - begun < Number(options['deadline-seconds']) * 1000
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function client() {
  const config = {
    brokers: bootstrap.split(','),
    logLevel: logLevel.ERROR,
    logCreator: () => ({ namespace, log }) => write('logged', `${namespace}: ${log.message} ${log.error ?? ''}`),
  }
  if (user !== '-') {
    config.sasl = { mechanism: 'plain', username: user, password }
  }
  return new Kafka(config)
}

// One record is one send, and the next one waits for it, as programs do: so records keep their order. A send of several
// records is not to be had with kafkajs: when the leader of one of them moves to a broker that has answered already, it
// forgets that record and resolves.
async function send(producer) {
  const number = sent++
  const partition = number % Number(options.partitions)
  const value = `${options.name}:${number}:`.padEnd(SIZE, '.')
  const since = milliseconds()
  try {
    const answers = await producer.send({ topic, messages: [{ partition, value }], acks: -1 })
    const told = answers.find((answer) => answer.partition === partition)
    write('ack', number, topic, partition, told?.baseOffset ?? -1, (milliseconds() - since).toFixed(3))
  } catch (error) {
    write('failed', number, error)
  }
}

async function produce() {
  const producer = client().producer()
  await producer.connect()
  while (goesOn()) {
    await pause((sent / Number(options.rate)) * 1000 - (performance.now() - begun))
    await send(producer)
  }
  write('ending')
  await producer.disconnect()
}

async function consume() {
  const consumer = client().consumer({ groupId: options.group })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    write('assigned', (payload.memberAssignment[topic] ?? []).length)
  })
  consumer.on(consumer.events.REBALANCING, () => goesOn() && write('revoked', 0))
  consumer.on(consumer.events.CRASH, ({ payload }) => write('error', 'callback', payload.error))
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  let unsaved = new Map()
  await consumer.run({
    eachMessage: async ({ topic: from, partition, message }) => {
      const [name, number] = message.value.toString().split(':')
      write('read', from, partition, message.offset, `${name}:${number}`)
      unsaved.set(partition, String(BigInt(message.offset) + 1n))
    },
  })
  while (goesOn()) {
    await pause(COMMIT_MS)
    if (unsaved.size > 0) {
      const offsets = [...unsaved].map(([partition, offset]) => ({ topic, partition, offset }))
      unsaved = new Map()
      try {
        await consumer.commitOffsets(offsets)
        write('committed')
      } catch (error) {
        write('error', 'commit', error)
      }
    }
  }
  write('ending')
  await consumer.disconnect()
}

async function main() {
  write('begin', 'kafkajs', version)
  process.stdin.on('end', () => (ended = true)).resume()
  try {
    await (mode === 'produce' ? produce() : consume())
  } catch (error) {
    write('error', ended ? 'end' : 'fatal', error)
  }
  write('end', sent)
  process.exit(0)
}

main()
