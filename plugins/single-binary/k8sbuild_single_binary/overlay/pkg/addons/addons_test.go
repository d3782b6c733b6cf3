package addons

import (
	"strings"
	"testing"

	"k8sbuild.dev/distribution/pkg/config"
)

func nothing(*config.Config) ([]byte, error) { return nil, nil }

func TestEnabled(t *testing.T) {
	r := &Registry{}
	for _, name := range []string{"metrics", "dns"} {
		r.Register(Addon{Name: name, Render: nothing})
	}
	for _, tc := range []struct {
		disable   []string
		want, err string
	}{
		{nil, "dns metrics", ""},
		{[]string{"dns"}, "metrics", ""},
		{[]string{"metrics", "dns", "dns"}, "", ""},
		{[]string{"dsn"}, "", "--disable=dsn: no such add-on is built into this binary; there are: dns, metrics"},
	} {
		got, err := r.Enabled(&config.Config{Disable: tc.disable})
		var names []string
		for _, a := range got {
			names = append(names, a.Name)
		}
		if strings.Join(names, " ") != tc.want || (err == nil) != (tc.err == "") || err != nil && err.Error() != tc.err {
			t.Errorf("%v: got %v, %v", tc.disable, names, err)
		}
	}
}

func TestFill(t *testing.T) {
	for _, tc := range []struct{ manifest, want, err string }{
		{"a: {{.A}}", "a: 1", ""},
		{"a: {{.B}}", "", "fill the manifest: "},
		{"a: {{.A", "", "read the manifest: "},
	} {
		got, err := Fill(tc.manifest, map[string]int{"A": 1})
		if string(got) != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.HasPrefix(err.Error(), tc.err) {
			t.Errorf("%s: got %q, %v", tc.manifest, got, err)
		}
	}
}

func TestWithoutAddons(t *testing.T) {
	if got, err := Enabled(&config.Config{}); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := Enabled(&config.Config{Disable: []string{"dns"}}); err == nil || !strings.HasSuffix(err.Error(), "there are: none") {
		t.Errorf("got %v", err)
	}
}

func TestOfThisProcess(t *testing.T) {
	defer func(before *Registry) { registry.addons = before.addons }(&Registry{addons: registry.addons})
	Register(Addon{Name: "dns", Render: nothing})
	if got, err := Enabled(&config.Config{}); len(got) != 1 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestUnusableAddonPanics(t *testing.T) {
	for name, a := range map[string]Addon{"no name": {Render: nothing}, "nothing to render": {Name: "a"}, "there twice": {Name: "twice", Render: nothing}} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			r := &Registry{}
			if a.Name == "twice" {
				r.Register(a)
			}
			r.Register(a)
		})
	}
}
