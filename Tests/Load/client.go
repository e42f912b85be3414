// The same questions as client.c, asked with grpc-go:
//
//	client SOCKET connect|stream|token CALLERS SECONDS
//
// Callers of `stream` and `token` share one connection, as grpc-go's own clients do.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Messages as they are.
type raw struct{}

func (raw) Marshal(v interface{}) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v interface{}) error { *v.(*[]byte) = append([]byte(nil), data...); return nil }
func (raw) Name() string                               { return "proto" }

var options = []grpc.DialOption{
	grpc.WithInsecure(), grpc.WithBlock(), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})),
}

func dial(socket string) *grpc.ClientConn {
	connection, err := grpc.Dial("unix://"+socket, options...)
	if err != nil {
		panic(err)
	}
	return connection
}

func stream(connection *grpc.ClientConn) error {
	context, cancel := context.WithCancel(security())
	defer cancel()
	description := grpc.StreamDesc{ServerStreams: true}
	stream, err := connection.NewStream(context, &description, "/SpiffeWorkloadAPI/FetchX509SVID")
	if err != nil {
		return err
	}
	var request, answer []byte
	if err = stream.SendMsg(&request); err != nil {
		return err
	}
	if err = stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(&answer)
}

func token(connection *grpc.ClientConn) error {
	request, answer := []byte("\x0a\x04load"), []byte(nil)
	return connection.Invoke(security(), "/SpiffeWorkloadAPI/FetchJWTSVID", &request, &answer)
}

func security() context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "workload.spiffe.io", "true")
}

func main() {
	socket, way := os.Args[1], os.Args[2]
	callers, _ := strconv.Atoi(os.Args[3])
	seconds, _ := strconv.ParseFloat(os.Args[4], 64)
	var shared *grpc.ClientConn
	if way != "connect" {
		shared = dial(socket)
	}
	start := time.Now().Add(500 * time.Millisecond)
	end := start.Add(time.Duration(seconds * 1e9))
	var group sync.WaitGroup
	var lock sync.Mutex
	var samples []float64
	failed := 0
	for number := 0; number < callers; number++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				began := time.Now()
				if began.After(end) {
					return
				}
				var err error
				switch way {
				case "connect":
					connection := dial(socket)
					err = stream(connection)
					connection.Close()
				case "stream":
					err = stream(shared)
				default:
					err = token(shared)
				}
				now := time.Now()
				lock.Lock()
				if err != nil {
					failed++
					fmt.Fprintln(os.Stderr, err)
				} else if now.After(start) && now.Before(end) {
					samples = append(samples, float64(now.Sub(began).Nanoseconds())/1000)
				}
				lock.Unlock()
				if err != nil {
					return
				}
			}
		}()
	}
	group.Wait()
	if len(samples) == 0 {
		os.Exit(1)
	}
	sort.Float64s(samples)
	fmt.Printf("{\"rate\": %.1f, \"p50\": %.1f, \"p99\": %.1f, \"failed\": %d}\n",
		float64(len(samples))/seconds, samples[len(samples)/2], samples[len(samples)*99/100], failed)
}
