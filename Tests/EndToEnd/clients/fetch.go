// Fetches X.509-SVIDs with grpc-go as it is: many calls on one connection, then a stream that is kept.
//
// Arguments: the socket, how many calls, and for how many seconds the stream is kept. Prints a line for each message of
// the stream, and at the end how many calls were answered.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// raw leaves messages as the bytes they are.
type raw struct{}

func (raw) Marshal(message interface{}) ([]byte, error) { return *message.(*[]byte), nil }
func (raw) Unmarshal(data []byte, message interface{}) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (raw) Name() string { return "proto" }

// Field 1 of field 1: what stands before the certificate.
var identity = regexp.MustCompile(`\n[\s\S](spiffe://[!-~]+)\x12`)

func must(err error) {
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

func open(ctx context.Context, connection *grpc.ClientConn) (grpc.ClientStream, error) {
	description := &grpc.StreamDesc{ServerStreams: true}
	stream, err := connection.NewStream(ctx, description, "/SpiffeWorkloadAPI/FetchX509SVID")
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(&[]byte{}); err != nil {
		return nil, err
	}
	return stream, stream.CloseSend()
}

func main() {
	calls, err := strconv.Atoi(os.Args[2])
	must(err)
	seconds, err := strconv.ParseFloat(os.Args[3], 64)
	must(err)
	connection, err := grpc.Dial(
		os.Args[1], grpc.WithInsecure(), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})),
		grpc.WithContextDialer(func(ctx context.Context, path string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}))
	must(err)
	ctx := metadata.AppendToOutgoingContext(context.Background(), "workload.spiffe.io", "true")

	var answered int64
	var group sync.WaitGroup
	for number := 0; number < calls; number++ {
		group.Add(1)
		go func() {
			defer group.Done()
			limited, cancel := context.WithTimeout(ctx, 15*time.Second)
			defer cancel()
			stream, err := open(limited, connection)
			must(err)
			message := []byte{}
			must(stream.RecvMsg(&message))
			atomic.AddInt64(&answered, 1)
		}()
	}
	group.Wait()

	limited, cancel := context.WithTimeout(ctx, time.Duration(seconds*float64(time.Second)))
	defer cancel()
	stream, err := open(limited, connection)
	must(err)
	for {
		message := []byte{}
		if err := stream.RecvMsg(&message); err != nil {
			break
		}
		fmt.Print("message")
		for _, found := range identity.FindAllSubmatch(message, -1) {
			fmt.Print(" ", string(found[1]))
		}
		fmt.Println()
	}
	fmt.Println("answered", answered)
}
