// sarama: the load that ../../python/load.py describes.
package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"portcullis/clients/load"
)

func common(l *load.Load) *sarama.Config {
	config := sarama.NewConfig()
	if l.User != "-" {
		config.Net.SASL.Enable = true
		config.Net.SASL.User = l.User
		config.Net.SASL.Password = l.Password
	}
	if l.ClientID != "" {
		config.ClientID = l.ClientID
	}
	return config
}

// look counts the throttles of every broker; it is called before they are closed, which forgets them.
func look(l *load.Load, config *sarama.Config) {
	config.MetricRegistry.Each(func(name string, metric any) {
		if histogram, ok := metric.(interface{ Count() int64 }); ok && strings.HasPrefix(name, "throttle-time-in-ms") {
			l.Throttled += histogram.Count()
		}
	})
}

func produce(l *load.Load) error {
	config := common(l)
	config.Producer.Return.Successes = true
	switch l.Acks {
	case "all":
		config.Producer.RequiredAcks = sarama.WaitForAll
	case "1":
		config.Producer.RequiredAcks = sarama.WaitForLocal
	case "0":
		config.Producer.RequiredAcks = sarama.NoResponse
	}
	if l.BatchBytes > 0 {
		config.Producer.MaxMessageBytes = l.BatchBytes
	}
	producer, err := sarama.NewAsyncProducer(strings.Split(l.Bootstrap, ","), config)
	if err != nil {
		return err
	}
	var answers sync.WaitGroup
	take := func(take func()) {
		answers.Add(1)
		go func() {
			defer answers.Done()
			take()
		}()
	}
	// One for each record that was taken.
	var outstanding sync.WaitGroup
	take(func() {
		for range producer.Successes() {
			l.Acknowledged()
			outstanding.Done()
		}
	})
	take(func() {
		for err := range producer.Errors() {
			l.Failed(err)
			outstanding.Done()
		}
	})
	l.Begin()
	l.Each(func(number int) {
		outstanding.Add(1)
		key, value := sarama.ByteEncoder(load.Key(number)), sarama.ByteEncoder(load.Value(number, l.Size))
		producer.Input() <- &sarama.ProducerMessage{Topic: l.Topic, Key: key, Value: value}
	})
	all := make(chan struct{})
	go func() {
		outstanding.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(l.Left()):
		l.Failed("not everything was acknowledged in time")
		return nil
	}
	look(l, config)
	producer.AsyncClose()
	answers.Wait()
	return nil
}

// member is one member of a group.
type member struct {
	load *load.Load
}

func (m member) Setup(sarama.ConsumerGroupSession) error {
	m.load.Assigned()
	return nil
}

func (m member) Cleanup(sarama.ConsumerGroupSession) error {
	m.load.Revoked()
	return nil
}

func (m member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.load.Read(message.Key, message.Value)
		session.MarkMessage(message, "")
	}
	return nil
}

func consume(l *load.Load) error {
	config := common(l)
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Return.Errors = true
	config.Consumer.Group.Session.Timeout = l.Session
	config.Consumer.Group.Heartbeat.Interval = load.Heartbeat
	l.Begin()
	group, err := sarama.NewConsumerGroup(strings.Split(l.Bootstrap, ","), l.Group, config)
	if err != nil {
		return err
	}
	go func() {
		for err := range group.Errors() {
			l.Failed(err)
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// One session of the group after the other.
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{l.Topic}, member{l}); err != nil {
				l.Failed(err)
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	for l.GoesOn() {
		time.Sleep(20 * time.Millisecond)
	}
	l.Leave()
	look(l, config)
	cancel()
	<-ended
	return group.Close()
}

func main() {
	l := load.New("sarama", "github.com/IBM/sarama")
	run := consume
	if l.Mode == "produce" {
		run = produce
	}
	if err := run(l); err != nil {
		l.Failed(err)
	}
	l.End()
}
