package manifests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/config"
)

// suffixes are those of files with manifests.
var suffixes = []string{".yaml", ".yml", ".json"}

// source is a file of the manifests directory, or a packaged add-on.
type source struct {
	name    string
	objects []object
	// err says why it cannot be read. What was applied of it before stays.
	err error
}

// object is one object of a source.
type object struct {
	*unstructured.Unstructured
	document int // of the source, from 1
}

// packaged are the add-ons that the configuration asks for.
func packaged(cfg *config.Config) ([]source, error) {
	var sources []source
	for _, a := range addons.Enabled(cfg) {
		text, err := a.Render(cfg)
		if err != nil {
			return nil, fmt.Errorf("add-on %s: %w", a.Name, err)
		}
		s := source{name: a.Name}
		if s.objects, s.err = parse(text); s.err != nil {
			return nil, fmt.Errorf("add-on %s: %w", a.Name, s.err)
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// files are the files of the manifests directory, by name.
func files(dir string) ([]source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var sources []source
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || entry.IsDir() || !slices.Contains(suffixes, filepath.Ext(name)) {
			continue
		}
		s := source{name: name}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed just now
		}
		if s.err = err; err == nil {
			s.objects, s.err = parse(text)
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// parse reads YAML or JSON documents; those of a List are taken out of it. The
// error names the document.
func parse(text []byte) ([]object, error) {
	var objects []object
	next := documents(text)
	for number := 1; ; number++ {
		document, err := next()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", number, err)
		}
		var content map[string]any
		if err := yaml.UnmarshalStrict(document, &content); err != nil {
			return nil, fmt.Errorf("document %d: %s", number, oneLine(err))
		}
		if len(content) == 0 {
			continue // comments only
		}
		found, err := objectsOf(&unstructured.Unstructured{Object: content})
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", number, err)
		}
		for _, o := range found {
			objects = append(objects, object{o, number})
		}
	}
}

// documents gives one document after the other: of YAML between lines of three
// dashes, of JSON each value.
func documents(text []byte) func() ([]byte, error) {
	parts := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	var waiting [][]byte
	return func() ([]byte, error) {
		for len(waiting) == 0 {
			part, err := parts.Read()
			if err != nil {
				return nil, err
			}
			waiting = values(part)
		}
		first := waiting[0]
		waiting = waiting[1:]
		return first, nil
	}
}

// values are the JSON values of a text, or the text itself, which is YAML then.
func values(text []byte) (found [][]byte) {
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var value json.RawMessage
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) && len(found) > 0 {
			return found
		}
		if err != nil {
			return [][]byte{text}
		}
		found = append(found, value)
	}
}

func objectsOf(o *unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	if o.IsList() {
		list, err := o.ToList()
		if err != nil {
			return nil, err
		}
		var all []*unstructured.Unstructured
		for i := range list.Items {
			each, err := objectsOf(&list.Items[i])
			if err != nil {
				return nil, err
			}
			all = append(all, each...)
		}
		return all, nil
	}
	if o.GetAPIVersion() == "" || o.GetKind() == "" || o.GetName() == "" {
		return nil, errors.New("an object needs apiVersion, kind and metadata.name")
	}
	return []*unstructured.Unstructured{o}, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
