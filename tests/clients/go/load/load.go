// Package load is what the loads of Go's clients share: the command line, what records hold, and the report, as
// ../../python/load.py describes them.
package load

import (
	"bytes"
	"crypto/sha512"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

// Heartbeat is how often a member of a group says that it is there.
const Heartbeat = 3 * time.Second

const errorsMax = 20

// Load is one run: what was asked for, what is counted, and what went wrong.
type Load struct {
	Mode, Bootstrap, User, Password, Topic string
	Group, ClientID, Acks                  string
	Records, Size, BatchBytes              int
	Session                                time.Duration
	// Throttled counts what the client told of throttling.
	Throttled int64

	limit, deadline, linger time.Duration

	library, module string

	mutex               sync.Mutex
	begun, last         time.Time
	errors              []string
	seen                map[int]bool
	acknowledged, bytes int
	assigned, revoked   int
	leaving             bool
}

// New reads the command line.
func New(library, module string) *Load {
	if len(os.Args) < 6 {
		fmt.Fprintln(os.Stderr, "usage: produce|consume BOOTSTRAP USER PASSWORD TOPIC --records N ...")
		os.Exit(2)
	}
	at := os.Args[1:6]
	l := &Load{Mode: at[0], Bootstrap: at[1], User: at[2], Password: at[3], Topic: at[4],
		library: library, module: module, errors: []string{}, seen: map[int]bool{}}
	var session int
	var limit, deadline, linger float64
	flags := flag.NewFlagSet(library, flag.ExitOnError)
	flags.IntVar(&l.Records, "records", 0, "")
	flags.IntVar(&l.Size, "size", 0, "")
	flags.IntVar(&l.BatchBytes, "batch-bytes", 0, "")
	flags.StringVar(&l.Group, "group", "", "")
	flags.StringVar(&l.ClientID, "client-id", "", "")
	flags.StringVar(&l.Acks, "acks", "", "")
	flags.IntVar(&session, "session-ms", 10000, "")
	flags.Float64Var(&limit, "seconds", math.MaxInt32, "")
	flags.Float64Var(&deadline, "deadline-seconds", 120, "")
	flags.Float64Var(&linger, "linger-seconds", 0, "")
	if err := flags.Parse(os.Args[6:]); err != nil {
		os.Exit(2)
	}
	l.Session = time.Duration(session) * time.Millisecond
	l.limit, l.deadline, l.linger = seconds(limit), seconds(deadline), seconds(linger)
	l.Begin()
	return l
}

func seconds(count float64) time.Duration {
	return time.Duration(count * float64(time.Second))
}

// A MiB that no compression makes smaller: some clients compress unless told otherwise.
var noise = func() []byte {
	var all, block []byte
	for range 16384 {
		sum := sha512.Sum512(block)
		block = sum[:]
		all = append(all, block...)
	}
	return all
}()

// Value is what the record of this number holds: the number, then noise, each record's beginning where the last one's
// ends.
func Value(number, size int) []byte {
	value := append([]byte(strconv.Itoa(number)), ':')
	for start := number * size % len(noise); len(value) < size; start = 0 {
		value = append(value, noise[start:min(len(noise), start+size)]...)
	}
	return value[:size]
}

// Key is the key of the record of this number.
func Key(number int) []byte {
	return []byte(strconv.Itoa(number))
}

// Begin starts the clock.
func (l *Load) Begin() {
	l.begun = time.Now()
	l.last = l.begun
}

// Failed notes what went wrong.
func (l *Load) Failed(err any) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.errors) < errorsMax {
		l.errors = append(l.errors, fmt.Sprint(err))
	}
}

// Each gives every number to send, until there are no more or the time is over.
func (l *Load) Each(send func(number int)) {
	for number := 0; number < l.Records; number++ {
		if time.Since(l.begun) > l.limit {
			l.mutex.Lock()
			l.Records = number
			l.mutex.Unlock()
			return
		}
		send(number)
	}
}

// Acknowledged counts a record.
func (l *Load) Acknowledged() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.acknowledged++
	l.bytes += l.Size
	l.last = time.Now()
}

// Read takes one record that was read.
func (l *Load) Read(key, value []byte) {
	number, err := strconv.Atoi(string(key))
	if err != nil || !bytes.Equal(value, Value(number, len(value))) {
		l.Failed(fmt.Sprintf("record %s does not hold what was sent", key))
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if !l.seen[number] {
		l.seen[number] = true
		l.bytes += len(value)
		l.last = time.Now()
	}
}

// Assigned counts an assignment of the group.
func (l *Load) Assigned() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.assigned++
}

// Revoked counts a revocation, unless nothing was assigned yet, or all is given back at the end.
func (l *Load) Revoked() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.assigned > 0 && !l.leaving {
		l.revoked++
	}
}

// Leave is called before a consumer leaves its group.
func (l *Load) Leave() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.leaving = true
}

// IsLeaving tells whether Leave was called.
func (l *Load) IsLeaving() bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.leaving
}

// Left is how much of the deadline is left.
func (l *Load) Left() time.Duration {
	return time.Until(l.begun.Add(l.deadline))
}

// GoesOn tells whether a consumer has to poll: it misses records, or is to stay in its group.
func (l *Load) GoesOn() bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if !l.isDone() {
		return l.Left() > 0
	}
	return time.Since(l.last) < l.linger
}

func (l *Load) isDone() bool {
	return l.count() >= l.Records
}

func (l *Load) count() int {
	if l.Mode == "produce" {
		return l.acknowledged
	}
	return len(l.seen)
}

// End says what came of it, and ends the process.
func (l *Load) End() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	report, err := json.Marshal(map[string]any{
		"library":    l.library,
		"version":    version(l.module),
		"mode":       l.Mode,
		"records":    l.count(),
		"bytes":      l.bytes,
		"seconds":    l.last.Sub(l.begun).Seconds(),
		"errors":     l.errors,
		"rebalances": max(l.revoked, l.assigned-1, 0),
		"throttled":  l.Throttled,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(report))
	if !l.isDone() {
		os.Exit(1)
	}
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
