package images

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"slices"
	"time"

	streaming "github.com/containerd/containerd/api/services/streaming/v1"
	transfer "github.com/containerd/containerd/api/services/transfer/v1"
	"github.com/containerd/containerd/api/types"
	messages "github.com/containerd/containerd/api/types/transfer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// namespace is where the kubelet's images are in containerd.
const namespace = "k8s.io"

// labels of the images: containerd's part for the kubelet knows them at once,
// and no disk that fills up takes them: there may be no registry to get them from.
var labels = map[string]string{
	"io.cri-containerd.image":  "managed",
	"io.cri-containerd.pinned": "pinned",
}

// snapshotters are those that the runtime is configured with, one of them.
var snapshotters = []string{"overlayfs", "native"}

const (
	// chunk is how much of a file goes into one message; containerd asks for
	// two of its own size at a time.
	chunk = 32 << 10
	// seenWithin is how long the kubelet's view of the images may lag.
	seenWithin = 5 * time.Second
)

// client speaks to containerd's transfer service, which does with a file what
// `ctr images import` does: it takes the blobs by their digests, unpacks the
// layers for this machine, and writes the images' names.
type client struct{ conn *grpc.ClientConn }

// Import gives containerd a tar of images, an OCI layout or what `docker save`
// writes, and returns their names.
func (c *client) Import(parent context.Context, tar io.Reader) ([]string, error) {
	ctx, stop := context.WithCancel(metadata.AppendToOutgoingContext(parent, "containerd-namespace", namespace))
	defer stop()
	content, contentID, err := c.stream(ctx, "content")
	if err != nil {
		return nil, err
	}
	progress, progressID, err := c.stream(ctx, "progress")
	if err != nil {
		return nil, err
	}
	request, err := transferRequest(contentID, progressID)
	if err != nil {
		return nil, err
	}
	sent, saved := make(chan error, 1), make(chan []string, 1)
	go func() { sent <- send(content, tar) }()
	go func() { saved <- savedNames(progress) }()
	_, refused := transfer.NewTransferClient(c.conn).Transfer(ctx, request)
	var names []string
	if refused == nil {
		names = <-saved
	}
	// What follows the tar's end is not asked for any more.
	stop()
	unsent := <-sent
	if err := parent.Err(); err != nil {
		return nil, err
	}
	if err := whole(unsent, tar); err != nil {
		return nil, err
	}
	if refused != nil {
		return nil, errors.New(status.Convert(refused).Message())
	}
	slices.Sort(names)
	return slices.Compact(names), c.seen(parent, names)
}

// fileError is of the file that is sent, not of the way.
type fileError struct{ error }

// whole says what is wrong with the file, which explains better than containerd
// can, after it has been read to its end.
func whole(sent error, file io.Reader) error {
	var bad fileError
	if errors.As(sent, &bad) {
		return bad.error
	}
	_, err := io.Copy(io.Discard, file)
	return err
}

func transferRequest(content, progress string) (*transfer.TransferRequest, error) {
	here := &types.Platform{OS: goruntime.GOOS, Architecture: goruntime.GOARCH}
	store := &messages.ImageStore{
		Labels:    labels,
		Platforms: []*types.Platform{here},
		// Takes each name as the file says it.
		ExtraReferences: []*messages.ImageReference{{Name: "import", IsPrefix: true, AllowOverwrite: true}},
	}
	for _, name := range snapshotters {
		store.Unpacks = append(store.Unpacks, &messages.UnpackConfiguration{Platform: here, Snapshotter: name})
	}
	from, err := wrap(&messages.ImageImportStream{Stream: content, MediaType: "application/x-tar"})
	if err != nil {
		return nil, err
	}
	to, err := wrap(store)
	return &transfer.TransferRequest{
		Source: from, Destination: to, Options: &transfer.TransferOptions{ProgressStream: progress},
	}, err
}

// stream opens a stream that a transfer can name.
func (c *client) stream(ctx context.Context, purpose string) (streaming.Streaming_StreamClient, string, error) {
	id := purpose + "-" + rand.Text()
	s, err := streaming.NewStreamingClient(c.conn).Stream(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("open a stream to containerd: %w", err)
	}
	hello, err := wrap(&streaming.StreamInit{ID: id})
	if err != nil {
		return nil, "", err
	}
	if err := s.Send(hello); err != nil {
		return nil, "", fmt.Errorf("open a stream to containerd: %w", err)
	}
	if _, err := s.Recv(); err != nil {
		return nil, "", fmt.Errorf("open a stream to containerd: %w", err)
	}
	return s, id, nil
}

// send writes a file to a stream, as much at a time as containerd asks for.
// Where the file cannot be read to its end, the error says why, and containerd
// gets less than a whole tar.
func send(s streaming.Streaming_StreamClient, file io.Reader) error {
	defer s.CloseSend()
	buffer := make([]byte, chunk)
	for asked := 0; ; {
		for asked <= 0 {
			more, err := window(s)
			if err != nil {
				return err
			}
			asked += more
		}
		n, err := file.Read(buffer[:min(chunk, asked)])
		if n > 0 {
			data, err := wrap(&messages.Data{Data: buffer[:n]})
			if err != nil {
				return err
			}
			if err := s.Send(data); err != nil {
				return err
			}
			asked -= n
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fileError{err}
		}
	}
}

// window is how much more containerd asks for.
func window(s streaming.Streaming_StreamClient) (int, error) {
	message, err := s.Recv()
	if err != nil {
		return 0, err
	}
	var update messages.WindowUpdate
	if err := proto.Unmarshal(message.GetValue(), &update); err != nil {
		return 0, fmt.Errorf("read containerd's message: %w", err)
	}
	return int(update.Update), nil
}

// savedNames are the names of the images that a transfer tells of.
func savedNames(s streaming.Streaming_StreamClient) (names []string) {
	for {
		message, err := s.Recv()
		if err != nil {
			return names
		}
		var p messages.Progress
		if proto.Unmarshal(message.GetValue(), &p) == nil && p.Event == "saved" {
			names = append(names, p.Name)
		}
		if p.Event == "Completed import" {
			return names
		}
	}
}

// seen waits until containerd's part for the kubelet knows the images: it hears
// of them a moment later.
func (c *client) seen(ctx context.Context, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, seenWithin)
	defer cancel()
	for _, name := range names {
		for !c.Has(ctx, name) {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("%s was imported and the kubelet does not see it: %w", name, ctx.Err())
			}
		}
	}
	return nil
}

// Has says whether the kubelet would find an image.
func (c *client) Has(ctx context.Context, name string) bool {
	answer, err := cri.NewImageServiceClient(c.conn).ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	return err == nil && answer.GetImage() != nil
}

// wrap packs a message as containerd wants it: by its bare name.
func wrap(m proto.Message) (*anypb.Any, error) {
	value, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode a message for containerd: %w", err)
	}
	return &anypb.Any{TypeUrl: string(m.ProtoReflect().Descriptor().FullName()), Value: value}, nil
}
