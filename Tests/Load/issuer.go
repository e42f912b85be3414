// Asks an issuer for SVIDs with grpc-go, as SPIRE's rows were measured:
//
//	issuer SOCKET mint-x509|mint-jwt CALLERS SECONDS
//	issuer HOST:PORT batch CALLERS SECONDS TOKEN ENTRY...
//
// All callers share one connection. The last attests itself as a node with a join token, and then asks for an SVID of each
// entry in every call.
package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Messages as they are.
type raw struct{}

func (raw) Marshal(v interface{}) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v interface{}) error { *v.(*[]byte) = append([]byte(nil), data...); return nil }
func (raw) Name() string                               { return "proto" }

// A field of bytes, and those of a message that has only such.
func field(number int, content ...[]byte) []byte {
	joined := bytes.Join(content, nil)
	head := append([]byte{byte(number<<3 | 2)}, binary.AppendUvarint(nil, uint64(len(joined)))...)
	return append(head, joined...)
}

func fields(message []byte, number int) (found [][]byte) {
	for len(message) > 0 {
		tag, size := binary.Uvarint(message)
		message = message[size:]
		value, size := binary.Uvarint(message)
		message = message[size:]
		if tag&7 != 2 {
			continue
		}
		if int(tag>>3) == number {
			found = append(found, message[:value])
		}
		message = message[value:]
	}
	return
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func request(key *ecdsa.PrivateKey, names ...*url.URL) []byte {
	return must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: names}, key))
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func dial(target string, options ...grpc.DialOption) *grpc.ClientConn {
	return must(grpc.Dial(target, append(options, grpc.WithBlock(), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))...))
}

// TLS to a server whose certificate is not judged: what is measured is the same.
func secure(certificates ...tls.Certificate) grpc.DialOption {
	return grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		InsecureSkipVerify: true, Certificates: certificates, NextProtos: []string{"h2"},
	}))
}

// Joins as a node; what it gets is the certificate to call with.
func attest(target, token string) tls.Certificate {
	key := newKey()
	connection := dial(target, secure())
	defer connection.Close()
	stream := must(connection.NewStream(context.Background(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
		"/spire.api.server.agent.v1.Agent/AttestAgent"))
	message := field(1, field(1, field(1, []byte("join_token")), field(2, []byte(token))), field(2, field(1, request(key))))
	var answer []byte
	if err := stream.SendMsg(&message); err != nil {
		panic(err)
	}
	if err := stream.RecvMsg(&answer); err != nil {
		panic(err)
	}
	svid := fields(fields(answer, 1)[0], 1)[0]
	return tls.Certificate{Certificate: fields(svid, 1), PrivateKey: key}
}

func main() {
	target, way := os.Args[1], os.Args[2]
	callers, seconds := must(strconv.Atoi(os.Args[3])), must(strconv.ParseFloat(os.Args[4], 64))
	var connection *grpc.ClientConn
	var method string
	var message []byte
	items := 1
	switch way {
	case "mint-x509":
		connection, method = dial("unix://"+target, grpc.WithInsecure()), "/spire.api.server.svid.v1.SVID/MintX509SVID"
		message = field(1, request(newKey(), must(url.Parse("spiffe://example.org/load"))))
	case "mint-jwt":
		connection, method = dial("unix://"+target, grpc.WithInsecure()), "/spire.api.server.svid.v1.SVID/MintJWTSVID"
		message = append(field(1, field(1, []byte("example.org")), field(2, []byte("/load"))), field(2, []byte("audience"))...)
	case "batch":
		connection = dial(target, secure(attest(target, os.Args[5])))
		method = "/spire.api.server.svid.v1.SVID/BatchNewX509SVID"
		for _, entry := range os.Args[6:] {
			message = append(message, field(1, field(1, []byte(entry)), field(2, request(newKey())))...)
		}
		items = len(os.Args[6:])
	default:
		panic(way)
	}
	start := time.Now().Add(500 * time.Millisecond)
	end := start.Add(time.Duration(seconds * 1e9))
	var group sync.WaitGroup
	var lock sync.Mutex
	var samples []float64
	for number := 0; number < callers; number++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for time.Now().Before(end) {
				began := time.Now()
				var answer []byte
				if err := connection.Invoke(context.Background(), method, &message, &answer); err != nil {
					panic(err)
				}
				// Every item of a batch has a chain: a status alone is a refusal.
				if way == "batch" {
					for _, result := range fields(answer, 1) {
						if len(fields(result, 2)) == 0 {
							panic(fmt.Sprintf("refused: %q", result))
						}
					}
				}
				now := time.Now()
				lock.Lock()
				if now.After(start) && now.Before(end) {
					samples = append(samples, float64(now.Sub(began).Nanoseconds())/1000)
				}
				lock.Unlock()
			}
		}()
	}
	group.Wait()
	sort.Float64s(samples)
	fmt.Printf("{\"rate\": %.1f, \"p50\": %.1f, \"p99\": %.1f}\n",
		float64(len(samples)*items)/seconds, samples[len(samples)/2], samples[len(samples)*99/100])
}
