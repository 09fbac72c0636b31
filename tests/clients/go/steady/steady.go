// Package steady is what the steady clients of Go's libraries share: the command line, the pace, and the journal, as
// ../../python/steady.py describes them.
package steady

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// FlushTime is how long a producer may take after its last send: longer than the brokers are away.
const FlushTime = 40 * time.Second

const (
	size       = 100
	commitTime = time.Second
)

// Steady is one client: what it was told, its pace and its journal.
type Steady struct {
	Mode, Bootstrap, User, Password, Topic string
	Group                                  string

	name       string
	partitions int
	rate       float64
	deadline   time.Duration
	begun      time.Time
	ended      chan struct{}
	sent       int

	mutex       sync.Mutex
	journal     *os.File
	pending     map[int]time.Time
	unsaved     bool
	committedAt time.Time
}

// New reads the command line and begins the journal.
func New(library, module string) *Steady {
	if len(os.Args) < 6 {
		fmt.Fprintln(os.Stderr, "usage: produce|consume BOOTSTRAP USER PASSWORD TOPIC --journal FILE ...")
		os.Exit(2)
	}
	at := os.Args[1:6]
	s := &Steady{Mode: at[0], Bootstrap: at[1], User: at[2], Password: at[3], Topic: at[4],
		begun: time.Now(), ended: make(chan struct{}), pending: map[int]time.Time{}}
	var journal, protocol string
	var deadline float64
	flags := flag.NewFlagSet(library, flag.ExitOnError)
	flags.StringVar(&journal, "journal", "", "")
	flags.StringVar(&s.name, "name", "", "")
	flags.IntVar(&s.partitions, "partitions", 1, "")
	flags.Float64Var(&s.rate, "rate", 1, "")
	flags.StringVar(&s.Group, "group", "", "")
	flags.StringVar(&protocol, "protocol", "classic", "")
	flags.Float64Var(&deadline, "deadline-seconds", 300, "")
	if err := flags.Parse(os.Args[6:]); err != nil {
		os.Exit(2)
	}
	s.deadline = time.Duration(deadline * float64(time.Second))
	file, err := os.Create(journal)
	if err != nil {
		panic(err)
	}
	s.journal = file
	s.write("begin", library, version(module))
	go func() {
		// However it ends, it has ended.
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(s.ended)
	}()
	return s
}

func (s *Steady) write(kind string, fields ...any) {
	var line strings.Builder
	fmt.Fprintf(&line, "%s\t%.3f", kind, float64(time.Now().UnixMicro())/1000)
	for _, field := range fields {
		line.WriteString("\t" + strings.Join(strings.Fields(fmt.Sprint(field)), " "))
	}
	line.WriteString("\n")
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if _, err := s.journal.WriteString(line.String()); err != nil {
		panic(err)
	}
}

// GoesOn tells whether it was not told to end yet, and is not late.
func (s *Steady) GoesOn() bool {
	select {
	case <-s.ended:
		return false
	default:
		return time.Since(s.begun) < s.deadline
	}
}

// UntilDue waits until the next record is due.
func (s *Steady) UntilDue() {
	time.Sleep(time.Until(s.begun.Add(time.Duration(float64(s.sent) / s.rate * float64(time.Second)))))
}

// Take tells of the next record its number, its partition and what it holds.
func (s *Steady) Take() (int, int32, []byte) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	number := s.sent
	s.sent++
	s.pending[number] = time.Now()
	value := fmt.Sprintf("%s:%d:", s.name, number)
	return number, int32(number % s.partitions), []byte(value + strings.Repeat(".", size-len(value)))
}

func (s *Steady) settled(number int) time.Duration {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	since := s.pending[number]
	delete(s.pending, number)
	return time.Since(since)
}

// Acknowledged is told of every record that was acknowledged.
func (s *Steady) Acknowledged(number int, partition int32, offset int64) {
	latency := float64(s.settled(number).Microseconds()) / 1000
	s.write("ack", number, s.Topic, partition, max(-1, offset), fmt.Sprintf("%.3f", latency))
}

// Failed is told of every record that was not.
func (s *Steady) Failed(number int, err any) {
	s.settled(number)
	s.write("failed", number, err)
}

// Read takes one record that was read.
func (s *Steady) Read(topic string, partition int32, offset int64, value []byte) {
	parts := strings.SplitN(string(value), ":", 3)
	s.write("read", topic, partition, offset, parts[0]+":"+parts[1])
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.unsaved = true
}

// IsCommitDue tells whether something was read that is to be committed now.
func (s *Steady) IsCommitDue() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if !s.unsaved || time.Since(s.committedAt) < commitTime {
		return false
	}
	s.committedAt = time.Now()
	s.unsaved = false
	return true
}

// Committed notes a commit.
func (s *Steady) Committed() {
	s.write("committed")
}

// Assigned notes an assignment of the group.
func (s *Steady) Assigned(partitions int) {
	s.write("assigned", partitions)
}

// Revoked notes that partitions were taken away, unless all are given back at the end.
func (s *Steady) Revoked(partitions int) {
	if s.GoesOn() {
		s.write("revoked", partitions)
	}
}

// Error notes what the program is told.
func (s *Steady) Error(where string, err any) {
	s.write("error", where, err)
}

// Logged notes what only the log is told.
func (s *Steady) Logged(text string) {
	s.write("logged", text)
}

// Ending notes that it was told to end.
func (s *Steady) Ending() {
	s.write("ending")
}

// Run does it, and ends the process.
func (s *Steady) Run(produce, consume func(*Steady) error) {
	run := consume
	if s.Mode == "produce" {
		run = produce
	}
	if err := run(s); err != nil {
		where := "fatal"
		if !s.GoesOn() {
			where = "end"
		}
		s.Error(where, err)
	}
	s.mutex.Lock()
	var left []int
	for number := range s.pending {
		left = append(left, number)
	}
	s.mutex.Unlock()
	for _, number := range left {
		s.Failed(number, "no answer came")
	}
	s.write("end", s.sent)
	os.Exit(0)
}

func version(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return dependency.Version
			}
		}
	}
	return "unknown"
}
