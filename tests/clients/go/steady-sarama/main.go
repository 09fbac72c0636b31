// sarama: the steady client that ../../python/steady.py describes.
package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"portcullis/clients/steady"
)

func common(s *steady.Steady) *sarama.Config {
	config := sarama.NewConfig()
	if s.User != "-" {
		config.Net.SASL.Enable = true
		config.Net.SASL.User = s.User
		config.Net.SASL.Password = s.Password
	}
	return config
}

func produce(s *steady.Steady) error {
	config := common(s)
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	// The record names its partition.
	config.Producer.Partitioner = sarama.NewManualPartitioner
	producer, err := sarama.NewAsyncProducer(strings.Split(s.Bootstrap, ","), config)
	if err != nil {
		return err
	}
	var answers sync.WaitGroup
	answers.Add(2)
	go func() {
		defer answers.Done()
		for message := range producer.Successes() {
			s.Acknowledged(message.Metadata.(int), message.Partition, message.Offset)
		}
	}()
	go func() {
		defer answers.Done()
		for err := range producer.Errors() {
			s.Failed(err.Msg.Metadata.(int), err.Err)
		}
	}()
	for s.GoesOn() {
		s.UntilDue()
		number, partition, value := s.Take()
		producer.Input() <- &sarama.ProducerMessage{
			Topic: s.Topic, Partition: partition, Value: sarama.ByteEncoder(value), Metadata: number,
		}
	}
	s.Ending()
	producer.AsyncClose()
	all := make(chan struct{})
	go func() {
		answers.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(steady.FlushTime):
	}
	return nil
}

// member is one member of a group.
type member struct {
	steady *steady.Steady
}

func claims(session sarama.ConsumerGroupSession) int {
	sum := 0
	for _, partitions := range session.Claims() {
		sum += len(partitions)
	}
	return sum
}

func (m member) Setup(session sarama.ConsumerGroupSession) error {
	m.steady.Assigned(claims(session))
	return nil
}

func (m member) Cleanup(session sarama.ConsumerGroupSession) error {
	m.steady.Revoked(claims(session))
	return nil
}

func (m member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.steady.Read(message.Topic, message.Partition, message.Offset, message.Value)
		session.MarkMessage(message, "")
		if m.steady.IsCommitDue() {
			// What fails comes by the channel of errors.
			session.Commit()
			m.steady.Committed()
		}
	}
	return nil
}

func consume(s *steady.Steady) error {
	config := common(s)
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Return.Errors = true
	group, err := sarama.NewConsumerGroup(strings.Split(s.Bootstrap, ","), s.Group, config)
	if err != nil {
		return err
	}
	go func() {
		for err := range group.Errors() {
			s.Error("callback", err)
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// One session of the group after the other.
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{s.Topic}, member{s}); err != nil && ctx.Err() == nil {
				s.Error("poll", err)
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	for s.GoesOn() {
		time.Sleep(20 * time.Millisecond)
	}
	s.Ending()
	cancel()
	<-ended
	return group.Close()
}

func main() {
	steady.New("sarama", "github.com/IBM/sarama").Run(produce, consume)
}
