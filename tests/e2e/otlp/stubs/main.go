// The Go stubs of OTLP profiles, driven by lines of JSON: a call in, its answer out. Every call sends the same
// profiles, of now; what they say is in ../../otlp.py, which also reads what became of them.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	profiles "go.opentelemetry.io/proto/otlp/profiles/v1development"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	gzipcodec "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

type call struct {
	Form       string // grpc, proto or json
	Gzip       bool
	Address    string // host:port
	Service    string
	References bool   // attributes of the resource are references into the dictionary
	Fault      string // stack: an index out of range; type: one more profile, with a type that is refused
	Headers    map[string]string
}

type answer struct {
	Code     string // of gRPC, or the status of HTTP; empty: ok
	Message  string
	Rejected int64 // by partial success
	RetryMs  int64 // when to try again, 0: not said
}

const (
	rate      = 100 // samples a second
	buildID   = "feedfacefeedfacefeedfacefeedfacefeedface"
	mapStart  = 0x7f0000000000
	offsetInC = 0x12345
)

// A dictionary that is being filled; index 0 of each table is the zero value.
type dictionary struct {
	profiles.ProfilesDictionary
	strings map[string]int32
}

func newDictionary() *dictionary {
	d := &dictionary{strings: map[string]int32{}}
	d.str("")
	d.MappingTable = []*profiles.Mapping{{}}
	d.LocationTable = []*profiles.Location{{}}
	d.FunctionTable = []*profiles.Function{{}}
	d.LinkTable = []*profiles.Link{{}}
	d.AttributeTable = []*profiles.KeyValueAndUnit{{}}
	d.StackTable = []*profiles.Stack{{}}
	return d
}

func (d *dictionary) str(s string) int32 {
	i, known := d.strings[s]
	if !known {
		i = int32(len(d.StringTable))
		d.strings[s], d.StringTable = i, append(d.StringTable, s)
	}
	return i
}

func (d *dictionary) attribute(key, value string) int32 {
	d.AttributeTable = append(d.AttributeTable, &profiles.KeyValueAndUnit{KeyStrindex: d.str(key), Value: text(value)})
	return int32(len(d.AttributeTable) - 1)
}

func (d *dictionary) location(l *profiles.Location) int32 {
	d.LocationTable = append(d.LocationTable, l)
	return int32(len(d.LocationTable) - 1)
}

func (d *dictionary) function(name string) int32 {
	f := &profiles.Function{NameStrindex: d.str(name), FilenameStrindex: d.str("main.go")}
	d.FunctionTable = append(d.FunctionTable, f)
	line := &profiles.Line{FunctionIndex: int32(len(d.FunctionTable) - 1), Line: 7}
	return d.location(&profiles.Location{Lines: []*profiles.Line{line}})
}

// The leaf comes first.
func (d *dictionary) stack(locations ...int32) int32 {
	d.StackTable = append(d.StackTable, &profiles.Stack{LocationIndices: locations})
	return int32(len(d.StackTable) - 1)
}

func (d *dictionary) valueType(kind, unit string) *profiles.ValueType {
	return &profiles.ValueType{TypeStrindex: d.str(kind), UnitStrindex: d.str(unit)}
}

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func (d *dictionary) resource(c *call) *resource.Resource {
	out := &resource.Resource{}
	for _, kv := range [][2]string{{"service.name", c.Service}, {"k8s.namespace.name", "größe"}} {
		if c.References {
			out.Attributes = append(out.Attributes, &common.KeyValue{KeyStrindex: d.str(kv[0]),
				Value: &common.AnyValue{Value: &common.AnyValue_StringValueStrindex{StringValueStrindex: d.str(kv[1])}}})
		} else {
			out.Attributes = append(out.Attributes, &common.KeyValue{Key: kv[0], Value: text(kv[1])})
		}
	}
	return out
}

func request(c *call) *collector.ExportProfilesServiceRequest {
	d, now := newDictionary(), uint64(time.Now().UnixNano())
	main, leaf := d.function("main.main"), d.function("main.spin")
	d.MappingTable = append(d.MappingTable, &profiles.Mapping{MemoryStart: mapStart, MemoryLimit: mapStart + 1<<20,
		FilenameStrindex: d.str("/lib/libc.so.6"), AttributeIndices: []int32{
			d.attribute("process.executable.build_id.gnu", buildID)}})
	unknown := d.location(&profiles.Location{MappingIndex: 1, Address: mapStart + offsetInC})
	d.LinkTable = append(d.LinkTable, &profiles.Link{TraceId: []byte("0123456789abcdef"), SpanId: []byte("spanspan")})
	hits := make([]uint64, 75)
	for i := range hits {
		hits[i] = now + uint64(i)
	}
	heavy := d.stack(leaf, d.function("main.processOrder"), main)
	light := d.stack(leaf, d.function("main.createInvoice"), main)
	cpu := &profiles.Profile{TimeUnixNano: now, DurationNano: uint64(time.Second), Period: int64(time.Second) / rate,
		SampleType: d.valueType("samples", "count"), PeriodType: d.valueType("cpu", "nanoseconds"),
		Samples: []*profiles.Sample{
			{StackIndex: heavy, TimestampsUnixNano: hits, LinkIndex: 1,
				AttributeIndices: []int32{d.attribute("controller", "orders")}},
			{StackIndex: light, Values: []int64{25}, AttributeIndices: []int32{d.attribute("controller", "billing")}},
			{StackIndex: d.stack(unknown, main), Values: []int64{5}}}}
	off := &profiles.Profile{TimeUnixNano: now, SampleType: d.valueType("off_cpu", "nanoseconds"),
		Samples: []*profiles.Sample{
			{StackIndex: light, Values: []int64{1000, 2000}, TimestampsUnixNano: []uint64{now, now + 1}}}}
	alloc := &profiles.Profile{TimeUnixNano: now, SampleType: d.valueType("alloc_space", "bytes"),
		Samples: []*profiles.Sample{{StackIndex: heavy, Values: []int64{4096}}}}
	all := []*profiles.Profile{cpu, off, alloc}
	switch c.Fault {
	case "stack":
		off.Samples[0].StackIndex = int32(len(d.StackTable))
	case "type":
		all = append(all, &profiles.Profile{TimeUnixNano: now, SampleType: d.valueType("a-b", "bytes"),
			Samples: alloc.Samples})
	}
	return &collector.ExportProfilesServiceRequest{Dictionary: &d.ProfilesDictionary,
		ResourceProfiles: []*profiles.ResourceProfiles{{Resource: d.resource(c), ScopeProfiles: []*profiles.ScopeProfiles{
			{Scope: &common.InstrumentationScope{Name: "stubs", Version: "1"}, Profiles: all}}}}}
}

var connections = map[string]*grpc.ClientConn{}

func byGRPC(c *call, m *collector.ExportProfilesServiceRequest) (out answer, err error) {
	connection := connections[c.Address]
	if connection == nil {
		connection, err = grpc.NewClient(c.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return out, err
		}
		connections[c.Address] = connection
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.New(c.Headers))
	var options []grpc.CallOption
	if c.Gzip {
		options = append(options, grpc.UseCompressor(gzipcodec.Name))
	}
	response, err := collector.NewProfilesServiceClient(connection).Export(ctx, m, options...)
	if err == nil {
		return answer{Rejected: response.GetPartialSuccess().GetRejectedProfiles(),
			Message: response.GetPartialSuccess().GetErrorMessage()}, nil
	}
	s := status.Convert(err)
	out = answer{Code: s.Code().String(), Message: s.Message()}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			out.RetryMs = info.RetryDelay.AsDuration().Milliseconds()
		}
	}
	return out, nil
}

func encode(c *call, m *collector.ExportProfilesServiceRequest) (body []byte, kind string, err error) {
	if c.Form == "json" {
		body, err = protojson.Marshal(m)
		kind = "application/json"
	} else {
		body, err = proto.Marshal(m)
		kind = "application/x-protobuf"
	}
	if err != nil || !c.Gzip {
		return body, kind, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err = w.Write(body); err == nil {
		err = w.Close()
	}
	return packed.Bytes(), kind, err
}

func byHTTP(c *call, m *collector.ExportProfilesServiceRequest) (out answer, err error) {
	body, kind, err := encode(c, m)
	if err != nil {
		return out, err
	}
	request, err := http.NewRequest("POST", "http://"+c.Address+"/v1development/profiles", bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	request.Header.Set("Content-Type", kind)
	if c.Gzip {
		request.Header.Set("Content-Encoding", "gzip")
	}
	for name, value := range c.Headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return out, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return out, err
	}
	if response.StatusCode != http.StatusOK {
		out = answer{Code: fmt.Sprint(response.StatusCode), Message: string(got)}
		if delay, err := time.ParseDuration(response.Header.Get("Retry-After") + "s"); err == nil {
			out.RetryMs = delay.Milliseconds()
		}
		return out, nil
	}
	// The answer says of which kind it is.
	message := &collector.ExportProfilesServiceResponse{}
	if response.Header.Get("Content-Type") == "application/json" {
		err = protojson.Unmarshal(got, message)
	} else {
		err = proto.Unmarshal(got, message)
	}
	return answer{Rejected: message.GetPartialSuccess().GetRejectedProfiles(),
		Message: message.GetPartialSuccess().GetErrorMessage()}, err
}

func main() {
	lines, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var c call
		err := json.Unmarshal(lines.Bytes(), &c)
		var got answer
		if err == nil {
			send := byHTTP
			if c.Form == "grpc" {
				send = byGRPC
			}
			got, err = send(&c, request(&c))
		}
		if err != nil {
			got = answer{Code: "failed", Message: err.Error()}
		}
		if err := out.Encode(got); err != nil {
			panic(err)
		}
	}
}
