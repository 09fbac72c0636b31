// franz-go: the load that ../../python/load.py describes.
package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"portcullis/clients/load"
)

// watch is told by the client of throttling and of what it logs of level error.
type watch struct {
	load *load.Load
}

func (w watch) OnBrokerThrottle(_ kgo.BrokerMetadata, interval time.Duration, _ bool) {
	if interval > 0 {
		atomic.AddInt64(&w.load.Throttled, 1)
	}
}

func (w watch) Level() kgo.LogLevel { return kgo.LogLevelError }

func (w watch) Log(_ kgo.LogLevel, message string, more ...any) {
	// Who leaves takes back what waits for an answer, which closes the connection; franz-go then tells of a heartbeat that
	// waited behind it as of an error, whatever it speaks with.
	if w.load.IsLeaving() && message == "group manage loop errored" {
		return
	}
	w.load.Failed(append([]any{message, " "}, more...))
}

func common(l *load.Load) []kgo.Opt {
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(l.Bootstrap, ",")...),
		kgo.WithHooks(watch{l}),
		kgo.WithLogger(watch{l}),
	}
	if l.User != "-" {
		options = append(options, kgo.SASL(plain.Auth{User: l.User, Pass: l.Password}.AsMechanism()))
	}
	if l.ClientID != "" {
		options = append(options, kgo.ClientID(l.ClientID))
	}
	return options
}

func produce(l *load.Load) error {
	options := common(l)
	switch l.Acks {
	case "all":
		options = append(options, kgo.RequiredAcks(kgo.AllISRAcks()))
	case "1":
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	}
	if l.BatchBytes > 0 {
		options = append(options, kgo.ProducerBatchMaxBytes(int32(l.BatchBytes)))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	l.Begin()
	background := context.Background()
	l.Each(func(number int) {
		record := &kgo.Record{Topic: l.Topic, Key: load.Key(number), Value: load.Value(number, l.Size)}
		client.Produce(background, record, func(_ *kgo.Record, err error) {
			if err != nil {
				l.Failed(err)
			} else {
				l.Acknowledged()
			}
		})
	})
	deadline, cancel := context.WithTimeout(background, l.Left())
	defer cancel()
	return client.Flush(deadline)
}

func consume(l *load.Load) error {
	changed := func(count func()) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(context.Context, *kgo.Client, map[string][]int32) { count() }
	}
	client, err := kgo.NewClient(append(common(l),
		kgo.ConsumerGroup(l.Group),
		kgo.ConsumeTopics(l.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(l.Session),
		kgo.HeartbeatInterval(load.Heartbeat),
		kgo.OnPartitionsAssigned(changed(l.Assigned)),
		kgo.OnPartitionsRevoked(changed(l.Revoked)),
		kgo.OnPartitionsLost(changed(l.Revoked)),
	)...)
	if err != nil {
		return err
	}
	l.Begin()
	for l.GoesOn() {
		soon, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		fetches := client.PollFetches(soon)
		cancel()
		fetches.EachError(func(_ string, _ int32, err error) {
			if !errors.Is(err, context.DeadlineExceeded) {
				l.Failed(err)
			}
		})
		fetches.EachRecord(func(record *kgo.Record) { l.Read(record.Key, record.Value) })
	}
	l.Leave()
	client.Close()
	return nil
}

func main() {
	l := load.New("franz-go", "github.com/twmb/franz-go")
	run := consume
	if l.Mode == "produce" {
		run = produce
	}
	if err := run(l); err != nil {
		l.Failed(err)
	}
	l.End()
}
