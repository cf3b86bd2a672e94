// The real clients of Connect and gRPC for Go, driven by lines of JSON: a call in, its answer out.
// Messages are bytes here: whoever drives it encodes and decodes them. See ../grpc_go.py.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type call struct {
	Client    string // connect-go or grpc-go; reflection and watch: see reflect.go
	Protocol  string // of connect-go: connect, grpc, grpcweb
	HTTP      int    // 1 or 2
	CA        string // a file: TLS
	Cert, Key string // of the client
	Address   string // host:port
	Path      string // /package.Service/Method
	Body      []byte
	Gzip      bool
	TimeoutMs int
	Headers   map[string]string
	Repeat    int // calls at once on one connection
}

type answer struct {
	Code    string // empty: ok
	Message string
	Body    []byte
	Same    int    // of Repeat: how many answers were like the first one
	Other   string // one that was not
}

type raw struct{ b []byte }

type codec struct{}

func (codec) Name() string                  { return "proto" }
func (codec) Marshal(v any) ([]byte, error) { return v.(*raw).b, nil }
func (codec) Unmarshal(b []byte, v any) error {
	v.(*raw).b = bytes.Clone(b)
	return nil
}

var (
	lock    sync.Mutex
	clients = map[string]*http.Client{}
	conns   = map[string]*grpc.ClientConn{}
)

func tlsConfig(c *call) (*tls.Config, error) {
	if c.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + c.CA)
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

func key(c *call) string { return fmt.Sprint(c.HTTP, c.CA, c.Cert, c.Address) }

func httpClient(c *call) (*http.Client, error) {
	lock.Lock()
	defer lock.Unlock()
	if have := clients[key(c)]; have != nil {
		return have, nil
	}
	cfg, err := tlsConfig(c)
	if err != nil {
		return nil, err
	}
	made := &http.Client{}
	if c.HTTP == 1 {
		made.Transport = &http.Transport{TLSClientConfig: cfg, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	} else {
		t := &http2.Transport{TLSClientConfig: cfg, AllowHTTP: cfg == nil}
		if cfg == nil {
			t.DialTLSContext = func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, addr)
			}
		}
		made.Transport = t
	}
	clients[key(c)] = made
	return made, nil
}

func grpcConn(c *call) (*grpc.ClientConn, error) {
	lock.Lock()
	defer lock.Unlock()
	if have := conns[key(c)]; have != nil {
		return have, nil
	}
	cfg, err := tlsConfig(c)
	if err != nil {
		return nil, err
	}
	creds := insecure.NewCredentials()
	if cfg != nil {
		creds = credentials.NewTLS(cfg)
	}
	made, err := grpc.NewClient("passthrough:///"+c.Address, grpc.WithTransportCredentials(creds))
	if err == nil {
		conns[key(c)] = made
	}
	return made, err
}

func byConnect(ctx context.Context, c *call) (out raw, err error) {
	client, err := httpClient(c)
	if err != nil {
		return out, err
	}
	options := []connect.ClientOption{connect.WithCodec(codec{})}
	if c.Protocol == "grpc" {
		options = append(options, connect.WithGRPC())
	} else if c.Protocol == "grpcweb" {
		options = append(options, connect.WithGRPCWeb())
	}
	if c.Gzip {
		options = append(options, connect.WithSendGzip())
	}
	scheme := "http://"
	if c.CA != "" {
		scheme = "https://"
	}
	rpc := connect.NewClient[raw, raw](client, scheme+c.Address+c.Path, options...)
	request := connect.NewRequest(&raw{c.Body})
	for k, v := range c.Headers {
		request.Header().Set(k, v)
	}
	response, err := rpc.CallUnary(ctx, request)
	if err == nil {
		out = *response.Msg
	}
	return out, err
}

func byGRPC(ctx context.Context, c *call) (out raw, err error) {
	conn, err := grpcConn(c)
	if err != nil {
		return out, err
	}
	for k, v := range c.Headers {
		ctx = metadata.AppendToOutgoingContext(ctx, k, v)
	}
	options := []grpc.CallOption{grpc.ForceCodec(codec{})}
	if c.Gzip {
		options = append(options, grpc.UseCompressor("gzip"))
	}
	err = conn.Invoke(ctx, c.Path, &raw{c.Body}, &out, options...)
	return out, err
}

// Codes in the spelling of Connect.
func spell(code codes.Code) string {
	var b strings.Builder
	for i, r := range code.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}

func one(c *call) answer {
	ctx := context.Background()
	if c.TimeoutMs > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(c.TimeoutMs)*time.Millisecond)
		defer cancel()
	}
	do := byConnect
	if c.Client == "grpc-go" {
		do = byGRPC
	}
	out, err := do(ctx, c)
	var ce *connect.Error
	switch {
	case err == nil:
		return answer{Body: out.b}
	case errors.As(err, &ce):
		return answer{Code: ce.Code().String(), Message: ce.Message()}
	case c.Client == "grpc-go":
		s := status.Convert(err)
		return answer{Code: spell(s.Code()), Message: s.Message()}
	}
	return answer{Code: "?", Message: err.Error()}
}

func many(c *call) answer {
	first := one(c)
	var group sync.WaitGroup
	for i := 1; i < c.Repeat; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			a := one(c)
			lock.Lock()
			defer lock.Unlock()
			if a.Code == first.Code && bytes.Equal(a.Body, first.Body) {
				first.Same++
			} else {
				first.Other = fmt.Sprintf("%s: %s: %x", a.Code, a.Message, a.Body)
			}
		}()
	}
	group.Wait()
	return first
}

func main() {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		var c call
		if err == nil {
			err = json.Unmarshal(line, &c)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		var out []byte
		if do := byReflection[c.Client]; do != nil {
			out, _ = json.Marshal(do(&c))
		} else {
			out, _ = json.Marshal(many(&c))
		}
		fmt.Println(string(out))
	}
}
