package networkpolicy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	nfqueue "github.com/florianl/go-nfqueue"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
)

// fix is what makes a kernel enforce policies.
const fix = "use a kernel with nf_tables, nfnetlink_queue, and either nft_queue or nft_compat with xt_NFQUEUE; " +
	"or give --disable=" + Name + ", and no policy is enforced"

// bypass lets packets pass while nobody listens, by either statement.
const bypass = 1

// statements give a packet to our queue: nftables' own, and the target of
// x_tables for kernels that were built without.
func statements() []expr.Any {
	return []expr.Any{
		&expr.Queue{Num: number, Total: 1, Flag: bypass},
		&expr.Target{Name: "NFQUEUE", Rev: 3, Info: target(number, 1, bypass, 0)},
	}
}

// target is struct xt_NFQ_info_v3: first queue, how many, flags, and what fills
// it up to its alignment.
func target(fields ...uint16) *xt.Unknown {
	var info xt.Unknown
	for _, f := range fields {
		info = binary.NativeEndian.AppendUint16(info, f)
	}
	return &info
}

// choose is the first statement that the kernel takes.
func choose(try func(expr.Any) error) (expr.Any, error) {
	var errs []error
	for _, s := range statements() {
		err := try(s)
		if err == nil {
			return s, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", strings.TrimPrefix(fmt.Sprintf("%T", s), "*expr."), err))
	}
	return nil, fmt.Errorf("the kernel has no rule that gives packets to a program: %w", errors.Join(errs...))
}

// try gives the kernel a rule with a statement, in a table that ends with the
// same transaction.
func try(s expr.Any) error {
	kernel, err := nftables.New()
	if err != nil {
		return err
	}
	t := kernel.AddTable(&nftables.Table{Name: table + "-try", Family: nftables.TableFamilyINet})
	c := kernel.AddChain(&nftables.Chain{Name: "try", Table: t})
	kernel.AddRule(&nftables.Rule{Table: t, Chain: c, Exprs: []expr.Any{s}})
	kernel.DelTable(t)
	return kernel.Flush()
}

// listen listens to a queue for a moment.
func listen(number uint16) error {
	q, err := nfqueue.Open(&nfqueue.Config{NfQueue: number, Copymode: nfqueue.NfQnlCopyNone})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ignore := func(nfqueue.Attribute) int { return 0 }
	err = q.RegisterWithErrorFunc(ctx, ignore, func(error) int { return 1 })
	cancel()
	return errors.Join(err, q.Close())
}

// lacks says what the kernel lacks for policies.
func lacks() (what, how string) {
	_, err := choose(try)
	if err == nil {
		// Our own may be in use by a server that runs.
		if err = listen(number + 1); err != nil {
			err = fmt.Errorf("the kernel has no queues of packets: %w", err)
		}
	}
	if err == nil {
		return "", ""
	}
	return "network policies cannot be enforced: " + strings.Join(strings.Fields(err.Error()), " "), fix
}
