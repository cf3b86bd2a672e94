// Clients that bring no schema: they ask the server what it speaks, then call it by JSON; and one that watches health.
package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	v1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

type found struct {
	Code     string
	Message  string
	Services []string
	Methods  []string // of all services: path(request) returns (response)
	Answer   string   // JSON
	Statuses []string // of watch
}

var byReflection = map[string]func(c *call) found{"reflection": reflect, "watch": watch}

// All services, and the files of each, asked one by one over one stream.
func describe(ctx context.Context, conn *grpc.ClientConn) ([]string, *descriptorpb.FileDescriptorSet, error) {
	stream, err := v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, nil, err
	}
	ask := func(rq *v1.ServerReflectionRequest) (*v1.ServerReflectionResponse, error) {
		if err := stream.Send(rq); err != nil {
			return nil, err
		}
		return stream.Recv()
	}
	list, err := ask(&v1.ServerReflectionRequest{MessageRequest: &v1.ServerReflectionRequest_ListServices{}})
	if err != nil {
		return nil, nil, err
	}
	names, seen, set := []string{}, map[string]bool{}, &descriptorpb.FileDescriptorSet{}
	for _, s := range list.GetListServicesResponse().GetService() {
		names = append(names, s.Name)
		files, err := ask(&v1.ServerReflectionRequest{
			MessageRequest: &v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: s.Name}})
		if err != nil {
			return nil, nil, err
		}
		if e := files.GetErrorResponse(); e != nil {
			return nil, nil, errors.New(s.Name + ": " + e.ErrorMessage)
		}
		for _, raw := range files.GetFileDescriptorResponse().GetFileDescriptorProto() {
			f := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(raw, f); err != nil {
				return nil, nil, err
			}
			if !seen[f.GetName()] {
				seen[f.GetName()] = true
				set.File = append(set.File, f)
			}
		}
	}
	none, err := ask(&v1.ServerReflectionRequest{
		MessageRequest: &v1.ServerReflectionRequest_FileByFilename{FileByFilename: "none.proto"}})
	if err == nil && none.GetErrorResponse().GetErrorCode() != 5 {
		err = fmt.Errorf("a file that is not there: %v", none)
	}
	if err == nil {
		err = stream.CloseSend()
	}
	return names, set, err
}

// The other version of the service says the same.
func sameInAlpha(ctx context.Context, conn *grpc.ClientConn, names []string) error {
	stream, err := grpc_reflection_v1alpha.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	err = stream.Send(&grpc_reflection_v1alpha.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1alpha.ServerReflectionRequest_ListServices{}})
	if err != nil {
		return err
	}
	list, err := stream.Recv()
	var got []string
	for _, s := range list.GetListServicesResponse().GetService() {
		got = append(got, s.Name)
	}
	if err == nil && !slices.Equal(got, names) {
		err = fmt.Errorf("v1alpha lists %v", got)
	}
	return err
}

// Calls c.Path with the JSON in c.Body, by the descriptors alone.
func invoke(ctx context.Context, conn *grpc.ClientConn, service protoreflect.ServiceDescriptor, c *call) (string, error) {
	method := service.Methods().ByName(protoreflect.Name(c.Path[strings.LastIndex(c.Path, "/")+1:]))
	if method == nil {
		return "", errors.New("no method " + c.Path)
	}
	ask, answer := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	if err := protojson.Unmarshal(c.Body, ask); err != nil {
		return "", err
	}
	if err := conn.Invoke(ctx, c.Path, ask, answer); err != nil {
		return "", err
	}
	text, err := protojson.Marshal(answer)
	return string(text), err
}

func reflect(c *call) (out found) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := grpcConn(c)
	if err != nil {
		return found{Code: "?", Message: err.Error()}
	}
	var set *descriptorpb.FileDescriptorSet
	out.Services, set, err = describe(ctx, conn)
	if err == nil {
		err = sameInAlpha(ctx, conn, out.Services)
	}
	for k, v := range c.Headers {
		ctx = metadata.AppendToOutgoingContext(ctx, k, v)
	}
	if err == nil {
		files, wrong := protodesc.NewFiles(set) // checks everything
		err = wrong
		for _, name := range out.Services {
			if err != nil {
				break
			}
			var d protoreflect.Descriptor
			if d, err = files.FindDescriptorByName(protoreflect.FullName(name)); err != nil {
				break
			}
			service := d.(protoreflect.ServiceDescriptor)
			for i := range service.Methods().Len() {
				m := service.Methods().Get(i)
				out.Methods = append(out.Methods, fmt.Sprintf("/%s/%s(%s) returns (%s)", name, m.Name(),
					m.Input().FullName(), m.Output().FullName()))
			}
			if strings.HasPrefix(c.Path, "/"+name+"/") {
				out.Answer, err = invoke(ctx, conn, service, c)
			}
		}
	}
	if err != nil {
		out.Code, out.Message = "?", err.Error()
	}
	return out
}

// The first status of the service that is in the body; then the call is left.
func watch(c *call) (out found) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := grpcConn(c)
	if err == nil {
		var stream grpc.ServerStreamingClient[grpc_health_v1.HealthCheckResponse]
		stream, err = grpc_health_v1.NewHealthClient(conn).Watch(ctx,
			&grpc_health_v1.HealthCheckRequest{Service: string(c.Body)})
		if err == nil {
			var first *grpc_health_v1.HealthCheckResponse
			if first, err = stream.Recv(); err == nil {
				out.Statuses = append(out.Statuses, first.Status.String())
			}
		}
	}
	if err != nil {
		out.Code, out.Message = "?", err.Error()
	}
	return out
}
