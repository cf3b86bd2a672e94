// Work of known shares, until standard input ends. Then one line: what it did, by its own measure.
//
// CPU: processOrder three times createInvoice, both through the same leaf, under labels. Allocation:
// largeBuffers three times smallBuffers. A mutex that two goroutines want.
package main

import (
	"context"
	"fmt"
	"io"
	"math/rand"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/grafana/pyroscope-go"
)

var (
	sink                       uint64
	kept                       []byte
	heavy, light, large, small atomic.Int64
	over                       atomic.Bool
	mutex                      sync.Mutex
)

const clockThreadCPU = 3

func threadCPU() int64 {
	var ts syscall.Timespec
	_, _, e := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPU, uintptr(unsafe.Pointer(&ts)), 0)
	if e != 0 {
		panic(e)
	}
	return ts.Nano()
}

// The leaf of all CPU time: about half a millisecond a unit.
//
//go:noinline
func spin(units int) {
	x := sink | 1
	for i := 0; i < units*400_000; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	sink = x
}

//go:noinline
func processOrder(pace int) {
	begin := threadCPU()
	spin(3 * pace)
	heavy.Add(threadCPU() - begin)
}

//go:noinline
func createInvoice(pace int) {
	begin := threadCPU()
	spin(pace)
	light.Add(threadCPU() - begin)
}

//go:noinline
func largeBuffers() {
	n := 3 * (50 + rand.Intn(100))
	for i := 0; i < n; i++ {
		kept = make([]byte, 8192)
	}
	large.Add(int64(n) * 8192)
}

//go:noinline
func smallBuffers() {
	n := 50 + rand.Intn(100)
	for i := 0; i < n; i++ {
		kept = make([]byte, 8192)
	}
	small.Add(int64(n) * 8192)
}

//go:noinline
func holdMutex() {
	mutex.Lock()
	time.Sleep(15 * time.Millisecond)
	mutex.Unlock()
}

// The pace is never in step with the profiler's clock.
func cpu() {
	runtime.LockOSThread()
	ctx := context.Background()
	for !over.Load() {
		pyroscope.TagWrapper(ctx, pyroscope.Labels("controller", "orders"), func(context.Context) {
			processOrder(10 + rand.Intn(20))
		})
		pyroscope.TagWrapper(ctx, pyroscope.Labels("controller", "billing", "stadt", "Größe ✓"),
			func(context.Context) { createInvoice(10 + rand.Intn(20)) })
	}
}

func loop(step func()) {
	for !over.Load() {
		step()
	}
}

func main() {
	runtime.SetMutexProfileFraction(1)
	profiler, err := pyroscope.Start(pyroscope.Config{
		ApplicationName: "go-app",
		ServerAddress:   os.Args[1],
		UploadRate:      3 * time.Second,
		Tags:            map[string]string{"region": "eu"},
		ProfileTypes: []pyroscope.ProfileType{pyroscope.ProfileCPU, pyroscope.ProfileAllocObjects,
			pyroscope.ProfileAllocSpace, pyroscope.ProfileInuseObjects, pyroscope.ProfileInuseSpace,
			pyroscope.ProfileGoroutines, pyroscope.ProfileMutexCount, pyroscope.ProfileMutexDuration},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var all sync.WaitGroup
	for _, work := range []func(){cpu, func() { loop(holdMutex) }, func() { loop(holdMutex) }, func() {
		loop(func() { largeBuffers(); smallBuffers(); time.Sleep(20 * time.Millisecond) })
	}} {
		all.Add(1)
		go func() { defer all.Done(); work() }()
	}
	io.Copy(io.Discard, os.Stdin)
	over.Store(true)
	all.Wait()
	profiler.Stop()
	fmt.Printf("{\"heavy\": %d, \"light\": %d, \"large\": %d, \"small\": %d}\n", heavy.Load(), light.Load(),
		large.Load(), small.Load())
}
