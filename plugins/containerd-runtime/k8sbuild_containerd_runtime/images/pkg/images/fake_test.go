package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	streaming "github.com/containerd/containerd/api/services/streaming/v1"
	transfer "github.com/containerd/containerd/api/services/transfer/v1"
	messages "github.com/containerd/containerd/api/types/transfer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// containerd is as much of containerd as an import needs. An image is a member
// of the tar whose name has a colon.
type containerd struct {
	streaming.UnimplementedStreamingServer
	transfer.UnimplementedTransferServer
	cri.UnimplementedImageServiceServer

	mu      sync.Mutex
	streams map[string]streaming.Streaming_StreamServer
	images  map[string]map[string]string // labels by name
	imports int
}

// started serves on a socket and returns the client of it.
func started(t *testing.T) (*containerd, *client) {
	t.Helper()
	fake := &containerd{streams: map[string]streaming.Streaming_StreamServer{}, images: map[string]map[string]string{}}
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	streaming.RegisterStreamingServer(server, fake)
	transfer.RegisterTransferServer(server, fake)
	cri.RegisterImageServiceServer(server, fake)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return fake, &client{conn: conn}
}

func (c *containerd) Stream(s streaming.Streaming_StreamServer) error {
	hello, err := s.Recv()
	if err != nil {
		return err
	}
	var init streaming.StreamInit
	if err := proto.Unmarshal(hello.Value, &init); err != nil || hello.TypeUrl != "containerd.services.streaming.v1.StreamInit" {
		return fmt.Errorf("%s, %w", hello.TypeUrl, err)
	}
	c.mu.Lock()
	c.streams[init.ID] = s
	c.mu.Unlock()
	answer, err := wrap(&emptypb.Empty{})
	if err != nil {
		return err
	}
	if err := s.Send(answer); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

func (c *containerd) Transfer(ctx context.Context, r *transfer.TransferRequest) (*emptypb.Empty, error) {
	if in, _ := metadata.FromIncomingContext(ctx); len(in["containerd-namespace"]) != 1 || in["containerd-namespace"][0] != "k8s.io" {
		return nil, status.Errorf(codes.FailedPrecondition, "namespace is %v", in["containerd-namespace"])
	}
	var from messages.ImageImportStream
	var to messages.ImageStore
	if err := errors.Join(proto.Unmarshal(r.Source.Value, &from), proto.Unmarshal(r.Destination.Value, &to)); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.imports++
	content, progress := c.streams[from.Stream], c.streams[r.Options.ProgressStream]
	c.mu.Unlock()
	reader, writer := io.Pipe()
	go receive(content, writer)
	defer reader.Close()
	names, err := read(tar.NewReader(reader))
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		c.images[name] = to.Labels
		if err := said(progress, "saved", name); err != nil {
			return nil, err
		}
	}
	return &emptypb.Empty{}, said(progress, "Completed import", "")
}

// read reads all of a tar and returns the images' names.
func read(members *tar.Reader) (names []string, err error) {
	for {
		header, err := members.Next()
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read tar: %w", err)
		}
		if _, err := io.Copy(io.Discard, members); err != nil {
			return nil, fmt.Errorf("read %s: %w", header.Name, err)
		}
		if strings.Contains(header.Name, ":") {
			names = append(names, header.Name)
		}
	}
}

// receive asks for as much as containerd does at a time.
func receive(s streaming.Streaming_StreamServer, to *io.PipeWriter) {
	const size = 2 * chunk
	for window := 0; ; {
		if window < size {
			more, _ := wrap(&messages.WindowUpdate{Update: size})
			if s.Send(more) == nil {
				window += size
			}
		}
		message, err := s.Recv()
		if err != nil {
			to.Close()
			return
		}
		var data messages.Data
		if proto.Unmarshal(message.Value, &data) != nil || len(data.Data) > window {
			to.CloseWithError(fmt.Errorf("%d bytes, asked for %d", len(data.Data), window))
			return
		}
		window -= len(data.Data)
		if _, err := to.Write(data.Data); err != nil {
			return
		}
	}
}

func said(s streaming.Streaming_StreamServer, event, name string) error {
	message, err := wrap(&messages.Progress{Event: event, Name: name})
	if err != nil {
		return err
	}
	return s.Send(message)
}

func (c *containerd) ImageStatus(_ context.Context, r *cri.ImageStatusRequest) (*cri.ImageStatusResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.images[r.Image.Image]; !there {
		return &cri.ImageStatusResponse{}, nil
	}
	return &cri.ImageStatusResponse{Image: &cri.Image{Id: r.Image.Image}}, nil
}

func (c *containerd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.imports
}

// tarOf is a tar with an image of each name, and some content.
func tarOf(t *testing.T, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range append(names, "blob") {
		content := bytes.Repeat([]byte(name), 50_000)
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
