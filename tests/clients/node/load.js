// kafkajs: the load that ../python/load.py describes.
'use strict'

const { createHash } = require('crypto')
const { Kafka, logLevel } = require('kafkajs')
const { version } = require('kafkajs/package.json')

const HEARTBEAT_MS = 3000
const ERRORS_MAX = 20
// One send is one request to each leader. As programs do, one waits for the other; half the size that a batch may have,
// unless told otherwise.
const SEND_RECORDS = 100
const SEND_BYTES = 512 * 1024

const [mode, bootstrap, user, password, topic, ...rest] = process.argv.slice(2)
const options = { 'session-ms': '10000', 'linger-seconds': '0', 'deadline-seconds': '120', seconds: 'Infinity' }
for (let n = 0; n < rest.length; n += 2) {
  options[rest[n].replace(/^--/, '')] = rest[n + 1]
}
let records = Number(options.records)

const errors = []
const seen = new Set()
let acknowledged = 0
let bytes = 0
let joined = 0
let rebalanced = 0
let leaving = false
let begun = now()
let last = begun

function now() {
  return Number(process.hrtime.bigint()) / 1e9
}

function failed(error) {
  if (errors.length < ERRORS_MAX) {
    errors.push(String(error))
  }
}

// A MiB that no compression makes smaller.
function noise() {
  const blocks = []
  let block = Buffer.alloc(0)
  for (let n = 0; n < 16384; n++) {
    block = createHash('sha512').update(block).digest()
    blocks.push(block)
  }
  return Buffer.concat(blocks)
}

const NOISE = noise()

// What the record of this number holds: the number, then noise, each record's beginning where the last one's ends.
function value(number, size) {
  const held = [Buffer.from(`${number}:`)]
  for (let start = (number * size) % NOISE.length, left = size; left > 0; start = 0) {
    const piece = NOISE.subarray(start, start + left)
    held.push(piece)
    left -= piece.length
  }
  return Buffer.concat(held).subarray(0, size)
}

function isDone() {
  return (mode === 'produce' ? acknowledged : seen.size) >= records
}

function isLate() {
  return now() - begun > Number(options['deadline-seconds'])
}

function client() {
  const config = {
    brokers: bootstrap.split(','),
    logLevel: logLevel.ERROR,
    logCreator: () => ({ namespace, log }) => failed(`${namespace}: ${log.message} ${log.error ?? ''}`.trim()),
  }
  if (user !== '-') {
    config.sasl = { mechanism: 'plain', username: user, password }
  }
  if (options['client-id']) {
    config.clientId = options['client-id']
  }
  return new Kafka(config)
}

async function produce() {
  const size = Number(options.size)
  const most = Math.max(1, Math.min(SEND_RECORDS, Math.floor(Number(options['batch-bytes'] ?? SEND_BYTES) / size)))
  const acks = { all: -1, 1: 1, 0: 0 }[options.acks]
  const producer = client().producer()
  await producer.connect()
  begun = last = now()
  for (let number = 0; number < records && !isLate(); ) {
    if (now() - begun > Number(options.seconds)) {
      records = number
      break
    }
    const messages = []
    for (; messages.length < most && number < records; number++) {
      messages.push({ key: String(number), value: value(number, size) })
    }
    try {
      await producer.send(acks === undefined ? { topic, messages } : { topic, messages, acks })
      acknowledged += messages.length
      bytes += messages.length * size
      last = now()
    } catch (error) {
      failed(error)
    }
  }
  await producer.disconnect()
}

async function consume() {
  const consumer = client().consumer({
    groupId: options.group,
    sessionTimeout: Number(options['session-ms']),
    heartbeatInterval: HEARTBEAT_MS,
  })
  consumer.on(consumer.events.GROUP_JOIN, () => joined++)
  consumer.on(consumer.events.REBALANCING, () => {
    rebalanced += joined > 0 && !leaving ? 1 : 0
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => failed(payload.error))
  begun = last = now()
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message }) => {
      const number = Number(message.key)
      if (!message.value.equals(value(number, message.value.length))) {
        failed(`record ${number} does not hold what was sent`)
      }
      if (!seen.has(number)) {
        seen.add(number)
        bytes += message.value.length
        last = now()
      }
    },
  })
  while (isDone() ? now() - last < Number(options['linger-seconds']) : !isLate()) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  leaving = true
  await consumer.disconnect()
}

async function main() {
  try {
    await (mode === 'produce' ? produce() : consume())
  } catch (error) {
    failed(error)
  }
  const report = {
    library: 'kafkajs',
    version,
    mode,
    records: mode === 'produce' ? acknowledged : seen.size,
    bytes,
    seconds: last - begun,
    errors,
    rebalances: Math.max(rebalanced, joined - 1, 0),
    // It waits as it is told, and tells nobody.
    throttled: null,
  }
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(isDone() ? 0 : 1))
}

main()
