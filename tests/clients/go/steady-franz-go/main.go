// franz-go: the steady client that ../../python/steady.py describes.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"portcullis/clients/steady"
)

// log is told by the client of what it logs of level error.
type log struct {
	steady *steady.Steady
}

func (l log) Level() kgo.LogLevel { return kgo.LogLevelError }

func (l log) Log(_ kgo.LogLevel, message string, more ...any) {
	l.steady.Logged(message + " " + fmt.Sprint(more...))
}

func common(s *steady.Steady) []kgo.Opt {
	options := []kgo.Opt{kgo.SeedBrokers(strings.Split(s.Bootstrap, ",")...), kgo.WithLogger(log{s})}
	if s.User != "-" {
		options = append(options, kgo.SASL(plain.Auth{User: s.User, Pass: s.Password}.AsMechanism()))
	}
	return options
}

func produce(s *steady.Steady) error {
	client, err := kgo.NewClient(append(common(s),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// The record names its partition.
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)...)
	if err != nil {
		return err
	}
	for s.GoesOn() {
		s.UntilDue()
		number, partition, value := s.Take()
		record := &kgo.Record{Topic: s.Topic, Partition: partition, Value: value}
		client.Produce(context.Background(), record, func(record *kgo.Record, err error) {
			if err != nil {
				s.Failed(number, err)
			} else {
				s.Acknowledged(number, record.Partition, record.Offset)
			}
		})
	}
	s.Ending()
	soon, cancel := context.WithTimeout(context.Background(), steady.FlushTime)
	defer cancel()
	err = client.Flush(soon)
	client.Close()
	return err
}

func count(partitions map[string][]int32) int {
	sum := 0
	for _, numbers := range partitions {
		sum += len(numbers)
	}
	return sum
}

func consume(s *steady.Steady) error {
	changed := func(note func(int)) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) { note(count(partitions)) }
	}
	client, err := kgo.NewClient(append(common(s),
		kgo.ConsumerGroup(s.Group),
		kgo.ConsumeTopics(s.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(changed(s.Assigned)),
		kgo.OnPartitionsRevoked(changed(s.Revoked)),
		kgo.OnPartitionsLost(changed(s.Revoked)),
	)...)
	if err != nil {
		return err
	}
	for s.GoesOn() {
		soon, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		fetches := client.PollFetches(soon)
		cancel()
		fetches.EachError(func(_ string, _ int32, err error) {
			if !errors.Is(err, context.DeadlineExceeded) {
				s.Error("poll", err)
			}
		})
		fetches.EachRecord(func(record *kgo.Record) { s.Read(record.Topic, record.Partition, record.Offset, record.Value) })
		if s.IsCommitDue() {
			if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
				s.Error("commit", err)
			} else {
				s.Committed()
			}
		}
	}
	s.Ending()
	client.Close()
	return nil
}

func main() {
	steady.New("franz-go", "github.com/twmb/franz-go").Run(produce, consume)
}
