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
	for disable, want := range map[string]string{"": "dns metrics", "dns": "metrics", "metrics,dns,dns": "", "other": "dns metrics"} {
		var names []string
		for _, a := range r.Enabled(&config.Config{Disable: strings.Split(disable, ",")}) {
			names = append(names, a.Name)
		}
		if strings.Join(names, " ") != want {
			t.Errorf("%s: got %v", disable, names)
		}
	}
	if got := strings.Join(r.Names(), " "); got != "metrics dns" {
		t.Errorf("got %s", got)
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
	if got := Enabled(&config.Config{}); len(got) != 0 || len(Names()) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestOfThisProcess(t *testing.T) {
	defer func(before *Registry) { registry.addons = before.addons }(&Registry{addons: registry.addons})
	Register(Addon{Name: "dns", Render: nothing})
	if got := Enabled(&config.Config{}); len(got) != 1 {
		t.Errorf("got %v", got)
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
