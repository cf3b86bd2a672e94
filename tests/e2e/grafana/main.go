// The client code of Grafana's data source: the official generated stubs over connect-go, driven by lines of JSON.
// A line is a list of calls that are made at once, as the data source makes them; out come their answers, decoded by
// the stubs, and the requests as they were sent. A line with Proxy starts what stands between the browser and the
// server: Grafana's proxy of data sources. YAML is for files that Grafana will read. See ../grafana.py.
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
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"

	"connectrpc.com/connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/capabilities/v1/capabilitiesv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/querier/v1/querierv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/settings/v1/settingsv1connect"
	"github.com/grafana/pyroscope/api/gen/proto/go/version/v1/versionv1connect"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

type call struct {
	URL         string // of the data source
	Path        string // /package.Service/Method
	Protocol    string // connect, grpc or grpcweb
	JSON        bool
	HTTP        int    // 1 or 2
	CA          string // a file: TLS
	Headers     map[string]string
	Request     json.RawMessage
	FrameFilter []byte // newer than the stubs: field 3 of the stack trace selector
	Cancel      bool   // as soon as the request was written
}

type line struct {
	Calls []call
	Proxy string // the URL it leads to
	YAML  string // to be shown as JSON, read as Grafana reads it
}

type answer struct {
	Code     string // empty: ok
	Message  string
	Response json.RawMessage
	Unknown  bool // the response has fields that the stubs do not know
	Sent     map[string][]string
	Body     []byte // as sent
	Status   int
	Got      map[string][]string
}

// What was really sent and received, below the client.
type recorder struct {
	next http.RoundTripper
	a    *answer
}

func (r recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.a.Sent = map[string][]string(request.Header.Clone())
	if request.Body != nil {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		r.a.Body = body
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	response, err := r.next.RoundTrip(request)
	if err == nil {
		r.a.Status, r.a.Got = response.StatusCode, map[string][]string(response.Header.Clone())
	}
	return response, err
}

var (
	lock       sync.Mutex
	transports = map[string]*http.Transport{}
)

func transport(c *call) (*http.Transport, error) {
	lock.Lock()
	defer lock.Unlock()
	key := fmt.Sprint(c.HTTP, c.CA)
	if have := transports[key]; have != nil {
		return have, nil
	}
	made := &http.Transport{Protocols: new(http.Protocols)}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		made.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
		made.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem)
	}
	switch {
	case c.HTTP == 1:
		made.Protocols.SetHTTP1(true)
	case c.CA != "":
		made.Protocols.SetHTTP2(true)
	default:
		made.Protocols.SetUnencryptedHTTP2(true)
	}
	transports[key] = made
	return made, nil
}

// The generated client of the path's service.
func service(c *call, client *http.Client) (any, error) {
	var options []connect.ClientOption
	switch c.Protocol {
	case "grpc":
		options = append(options, connect.WithGRPC())
	case "grpcweb":
		options = append(options, connect.WithGRPCWeb())
	}
	if c.JSON {
		options = append(options, connect.WithProtoJSON())
	}
	switch name := strings.Split(c.Path, "/")[1]; name {
	case "querier.v1.QuerierService":
		return querierv1connect.NewQuerierServiceClient(client, c.URL, options...), nil
	case "settings.v1.SettingsService":
		return settingsv1connect.NewSettingsServiceClient(client, c.URL, options...), nil
	case "version.v1.Version":
		return versionv1connect.NewVersionClient(client, c.URL, options...), nil
	case "capabilities.v1.FeatureFlagsService":
		return capabilitiesv1connect.NewFeatureFlagsServiceClient(client, c.URL, options...), nil
	default:
		return nil, errors.New("no such service: " + name)
	}
}

// A *connect.Request[T] for the method's T.
func request(c *call, method reflect.Value) (reflect.Value, error) {
	made := reflect.New(method.Type().In(1).Elem())
	field := made.Elem().FieldByName("Msg")
	field.Set(reflect.New(field.Type().Elem()))
	message := field.Interface().(proto.Message)
	if err := protojson.Unmarshal(c.Request, message); err != nil {
		return made, err
	}
	if c.FrameFilter != nil {
		m := message.ProtoReflect()
		m.Mutable(m.Descriptor().Fields().ByName("stack_trace_selector")).Message().SetUnknown(c.FrameFilter)
	}
	header := made.MethodByName("Header").Call(nil)[0].Interface().(http.Header)
	for k, v := range c.Headers {
		header.Set(k, v)
	}
	return made, nil
}

func unknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() == nil {
			return true
		}
		if f.IsList() {
			for i := 0; i < v.List().Len(); i++ {
				found = found || unknown(v.List().Get(i).Message())
			}
		} else {
			found = found || unknown(v.Message())
		}
		return !found
	})
	return found
}

func one(ctx context.Context, c *call) (a answer) {
	fail := func(err error) answer {
		a.Code, a.Message = "?", err.Error()
		return a
	}
	next, err := transport(c)
	if err != nil {
		return fail(err)
	}
	stub, err := service(c, &http.Client{Transport: recorder{next, &a}})
	if err != nil {
		return fail(err)
	}
	method := reflect.ValueOf(stub).MethodByName(c.Path[strings.LastIndex(c.Path, "/")+1:])
	if !method.IsValid() {
		return fail(errors.New("no such method: " + c.Path))
	}
	ask, err := request(c, method)
	if err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.Cancel {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { cancel() }})
	}
	out := method.Call([]reflect.Value{reflect.ValueOf(ctx), ask})
	if err, _ := out[1].Interface().(error); err != nil {
		a.Code, a.Message = connect.CodeOf(err).String(), err.Error()
		var ce *connect.Error
		if errors.As(err, &ce) {
			a.Message = ce.Message()
		}
		return a
	}
	message := out[0].Elem().FieldByName("Msg").Interface().(proto.Message)
	a.Unknown = unknown(message.ProtoReflect())
	if a.Response, err = protojson.Marshal(message); err != nil {
		return fail(err)
	}
	return a
}

// All at once; when one fails the others are cancelled.
func all(calls []call) []answer {
	answers := make([]answer, len(calls))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var group sync.WaitGroup
	for i := range calls {
		group.Add(1)
		go func() {
			defer group.Done()
			answers[i] = one(ctx, &calls[i])
			if answers[i].Code != "" {
				cancel()
			}
		}()
	}
	group.Wait()
	return answers
}

// /api/datasources/proxy/uid/UID/PATH leads to PATH below the URL.
func proxy(to string) (string, error) {
	target, err := url.Parse(to)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetXForwarded()
		r.SetURL(target)
	}}
	go http.Serve(listener, http.StripPrefix("/api/datasources/proxy/uid/everflame", forward))
	return listener.Addr().String(), nil
}

func do(text []byte) (any, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, err
	}
	if l.Proxy != "" {
		return proxy(l.Proxy)
	}
	if l.YAML != "" {
		var out any
		err := yaml.Unmarshal([]byte(l.YAML), &out)
		return out, err
	}
	return all(l.Calls), nil
}

func main() {
	in := bufio.NewReader(os.Stdin)
	for {
		text, err := in.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		var out any
		if err == nil {
			out, err = do(text)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		shown, _ := json.Marshal(out)
		fmt.Println(string(shown))
	}
}
