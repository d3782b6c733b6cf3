package manifests

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/klog/v2"
)

// served is how soon the API server has objects of a kind that was defined.
const served = 5 * time.Second

type digest = [sha256.Size]byte

// set is what the sources say, with the inventory of what they gave.
type set struct {
	cluster   *cluster
	inventory *inventory
	// alone: no other server is in the cluster.
	alone bool
	// report tells the cluster's users what is wrong.
	report func(reason, message string)

	// applied are the digests of objects as they were last applied, and told
	// the last error of each place, in this process.
	applied map[id]digest
	told    map[string]string
	// defined is when a kind was defined last.
	defined time.Time
}

// begin reads the inventory where that is to be done.
func (s *set) begin(ctx context.Context) bool {
	if s.inventory.of != nil {
		return true
	}
	err := s.inventory.read(ctx)
	if err == nil && s.alone {
		err = s.inventory.inherit(ctx)
	}
	if err != nil {
		s.inventory.of = nil
		s.tell("", "", err)
	}
	return err == nil
}

// item is one object to apply, and where it comes from.
type item struct {
	source string
	object
}

func (i item) place() string {
	return fmt.Sprintf("document %d (%s)", i.document, idOf(i.Unstructured))
}

// failing tells of an error, and remembers that its source had one.
type failing func(source, place string, err error)

// pass makes the cluster have what the sources say, and what they no longer say
// removed. It goes on after an error, and says whether all is done.
func (s *set) pass(ctx context.Context, sources []source) (done bool) {
	if !s.begin(ctx) {
		return false
	}
	failed := map[string]bool{}
	fail := func(source, place string, err error) {
		failed[source] = true
		s.tell(source, place, err)
	}
	var items []item
	for _, from := range sources {
		if from.err != nil {
			fail(from.name, "", from.err)
		}
		for _, o := range from.objects {
			items = append(items, item{from.name, o})
		}
	}
	wanted := s.apply(ctx, items, fail)
	s.prune(ctx, s.unwanted(wanted, failed), fail)
	if s.inventory.of == nil {
		return false
	}
	if err := s.inventory.write(ctx); err != nil {
		fail("", "", err)
	}
	if len(failed) == 0 {
		clear(s.told)
	}
	return len(failed) == 0
}

// apply applies what is not as it was applied last, definitions first: others
// may be of the kinds, or in the namespaces, that they define. It returns what
// each source wants.
func (s *set) apply(ctx context.Context, items []item, fail failing) map[string][]id {
	wanted := map[string][]id{}
	for _, first := range []bool{true, false} {
		var due []item
		for _, i := range items {
			if defines(i.GetKind()) != first {
				continue
			}
			news, err := s.want(ctx, i, wanted)
			if err != nil {
				fail(i.source, i.place(), err)
			} else if news {
				due = append(due, i)
			}
		}
		if err := s.all(ctx, due, fail); err != nil {
			fail("", "", err)
			return wanted
		}
	}
	return wanted
}

// all applies objects but those that another server is about to delete: they
// are for the next pass.
func (s *set) all(ctx context.Context, due []item, fail failing) error {
	// What is applied is never forgotten, whatever happens in between.
	if err := s.inventory.write(ctx); err != nil || len(due) == 0 {
		return err
	}
	others, err := s.inventory.others(ctx)
	if err != nil {
		return err
	}
	for _, i := range due {
		one := idOf(i.Unstructured)
		if by := who(others, func(other *inventory) bool { return has(other.removing, one) }); by != "" {
			fail(i.source, i.place(), fmt.Errorf("another server is removing it, which %s tells of", by))
		} else if err := s.one(ctx, i); err != nil {
			fail(i.source, i.place(), err)
		}
	}
	return nil
}

// defines says whether others need objects of a kind.
func defines(kind string) bool { return kind == definition || kind == "Namespace" }

const definition = "CustomResourceDefinition"

// want notes an object, and says whether it is to be applied.
func (s *set) want(ctx context.Context, i item, wanted map[string][]id) (news bool, err error) {
	if err := s.qualified(ctx, i); err != nil {
		return false, err
	}
	one := idOf(i.Unstructured)
	for source, ids := range wanted {
		if has(ids, one) {
			return false, fmt.Errorf("%s is there already, in %s", one, source)
		}
	}
	wanted[i.source] = append(wanted[i.source], one)
	s.inventory.add(i.source, one)
	now, err := digestOf(i)
	return s.applied[one] != now, err
}

// digestOf is of all that is applied: the object, and whose it is.
func digestOf(i item) (d digest, err error) {
	text, err := json.Marshal([]any{i.source, i.Object})
	return sha256.Sum256(text), err
}

// one applies one object.
func (s *set) one(ctx context.Context, i item) error {
	now, err := digestOf(i)
	if err != nil {
		return err
	}
	if err := s.cluster.apply(ctx, i.source, i.Unstructured); err != nil {
		return err
	}
	if i.GetKind() == definition {
		s.defined = time.Now()
	}
	one := idOf(i.Unstructured)
	s.applied[one] = now
	klog.InfoS("Applied", "manifest", i.source, "object", one)
	return nil
}

// qualified looks for an object's kind again where it is not known. One that
// was defined just now comes in a moment.
func (s *set) qualified(ctx context.Context, i item) error {
	err := s.cluster.qualify(i.Unstructured)
	for meta.IsNoMatchError(err) {
		s.cluster.kinds.Reset()
		if err = s.cluster.qualify(i.Unstructured); err == nil || time.Since(s.defined) > served {
			break
		}
		select {
		case <-time.After(served / 50):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// entry is an object of a source in the inventory.
type entry struct {
	source string
	id
}

// unwanted is what sources gave and give no more, the last one first. A source
// that has failed may still want what it does not say.
func (s *set) unwanted(wanted map[string][]id, failed map[string]bool) (gone []entry) {
	if failed[""] {
		return nil
	}
	for _, source := range slices.Backward(s.inventory.sources()) {
		for _, one := range slices.Backward(s.inventory.of[source]) {
			if !failed[source] && !has(wanted[source], one) {
				gone = append(gone, entry{source, one})
			}
		}
	}
	return gone
}

// prune removes objects, but those that another server has.
func (s *set) prune(ctx context.Context, gone []entry, fail failing) {
	s.inventory.removing = nil
	if len(gone) == 0 {
		return
	}
	for _, e := range gone {
		s.inventory.removing = append(s.inventory.removing, e.id)
	}
	if err := s.inventory.write(ctx); err != nil {
		fail("", "", err)
		return
	}
	others, err := s.inventory.others(ctx)
	if err != nil {
		fail("", "", err)
		return
	}
	for _, e := range gone {
		if by := who(others, func(other *inventory) bool { return other.holds(e.id) }); by != "" {
			klog.InfoS("Left to another server", "manifest", e.source, "object", e.id, "inventory", by)
		} else if err := s.cluster.remove(ctx, e.source, e.id); err != nil {
			fail(e.source, "removal of "+e.id.String(), err)
			continue
		} else {
			klog.InfoS("Removed", "manifest", e.source, "object", e.id)
		}
		delete(s.applied, e.id)
		s.inventory.drop(e.source, e.id)
	}
}

// tell logs and reports an error, once for each time that it is another one.
func (s *set) tell(source, place string, err error) {
	message := oneLine(err)
	if place != "" {
		message = place + ": " + message
	}
	if s.told[source+"\x00"+place] == message {
		return
	}
	s.told[source+"\x00"+place] = message
	klog.ErrorS(nil, "Manifest cannot be applied as it is", "manifest", source, "why", message)
	s.report("ManifestNotApplied", source+": "+message)
}
