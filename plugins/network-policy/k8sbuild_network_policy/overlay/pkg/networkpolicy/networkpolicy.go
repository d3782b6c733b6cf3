// Package networkpolicy enforces NetworkPolicy objects for the pods of this
// machine, by kube-network-policies: the kernel gives the first packet of each
// connection from or to a pod that a policy selects to this process, which lets
// it pass or not, and what belongs to a connection that passed passes by itself.
//
// What the kernel has for it goes with the server. While none runs, or one was
// killed, all may pass.
package networkpolicy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/google/nftables"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	upstream "sigs.k8s.io/kube-network-policies/pkg/networkpolicy"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

const (
	// Name is the component's name, and what --disable calls it.
	Name = "network-policy"
	// table is our one in nftables.
	table = "k8s-network-policy"
	// number is that of our queue of packets.
	number = 107
	// again is how often the rules are written anew where there are policies:
	// those who reload a firewall remove all.
	again = 30 * time.Second
	// queues is where the kernel says who listens to queues.
	queues = "/proc/net/netfilter/nfnetlink_queue"
)

var errNotYet = errors.New("nobody listens to the queue of packets yet")

// Register makes network policies a component of this binary. It is there
// before the kubelet, so that no pod starts without.
func Register() {
	server.Register(server.Component{
		Name: Name, New: New, Wanted: wanted, Optional: true, Lacks: lacks,
		Before: []string{string(server.RoleKubelet)},
	})
	cleanup.Register(Name, Undo)
}

// wanted: who brings a network brings its policies.
func wanted(cfg *config.Config) bool { return !cfg.DisableAgent && cfg.Network != config.NoNetwork }

// New makes the component's service, which is ready when the rules are written
// and packets are answered.
func New(cfg *config.Config) (service.Service, error) {
	r := shared.Controller(cfg, Name, errNotYet, func(ctx context.Context, client kubernetes.Interface, _ func()) error {
		return run(ctx, client, cfg.NodeName)
	})
	r.IsReady = func(context.Context) error { return listening(queues) }
	return r, nil
}

// run answers the kernel until ctx is over.
func run(ctx context.Context, client kubernetes.Interface, node string) error {
	queue, err := choose(try)
	if err != nil {
		return err
	}
	pods := informers.NewSharedInformerFactoryWithOptions(client, again, informers.WithTweakListOptions(unfinished))
	others := informers.NewSharedInformerFactoryWithOptions(client, again, informers.WithTransform(slim))
	watched := pods.Core().V1().Pods()
	c, err := upstream.NewController(
		client, others.Networking().V1().NetworkPolicies(), others.Core().V1().Namespaces(), watched,
		upstream.Config{QueueID: number, NodeName: node, NetfilterBug1766Fix: true, NFTableName: table, Queue: queue},
	)
	if err != nil {
		return fmt.Errorf("make the controller: %w", err)
	}
	// It has set one that keeps all that a pod has.
	if err := watched.Informer().SetTransform(slim); err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	pods.Start(ctx.Done())
	others.Start(ctx.Done())
	if err := c.Run(ctx); err != nil {
		return fmt.Errorf("listen to the queue %d of packets: %w", number, err)
	}
	return nil
}

// listening is nil when somebody listens to our queue, before which the rules
// are written.
func listening(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("look at queues of packets: %w", err)
	}
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) > 0 && string(fields[0]) == strconv.Itoa(number) {
			return nil
		}
	}
	return errNotYet
}

// Undo removes the rules, which are there when the server was killed.
func Undo(context.Context, *config.Config) error {
	kernel, err := nftables.New()
	if err != nil {
		return fmt.Errorf("remove rules of nftables: %w", err)
	}
	tables, err := kernel.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil // a kernel without nftables has none
	}
	for _, t := range tables {
		if t.Name == table {
			kernel.DelTable(t)
		}
	}
	if err := kernel.Flush(); err != nil {
		return fmt.Errorf("remove the table %s of nftables: %w", table, err)
	}
	return nil
}
