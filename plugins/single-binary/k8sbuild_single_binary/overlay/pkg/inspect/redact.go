package inspect

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// mark stands for what was taken out.
const mark = "[redacted]"

// patterns are what secrets look like, wherever they are. Their first group, if
// they have one, stays.
var patterns = []*regexp.Regexp{
	regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----`),
	// The same cut off, or in one line of a log.
	regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[^"\s]*`),
	// "-----BEGIN" in base64, as in a kubeconfig.
	regexp.MustCompile(`LS0tLS1CRUdJTi[A-Za-z0-9+/=]+`),
	// Tokens of service accounts and of OpenID.
	regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`),
	// Bootstrap tokens.
	regexp.MustCompile(`\b[a-z0-9]{6}\.[a-z0-9]{16}\b`),
	regexp.MustCompile(`(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}`),
	// Names and passwords in URLs.
	regexp.MustCompile(`([a-z][a-z0-9+.-]*://)[^/\s:@"]+:[^/\s@"]+@`),
	// name=value, name: value, "name": "value".
	regexp.MustCompile(`(?i)([\w.-]*(?:passwo?r?d|passphrase|secret|token|api[-_]?key|private[-_]?key|access[-_]?key|credential)s?(?:[-_]data)?["']?\s*[=:]\s*)(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;"'{}\[\]]+)`),
}

// shortest is how long a value must be to be looked for: shorter ones are in
// every text.
const shortest = 6

// Redactor takes secrets out of texts.
type Redactor struct{ known *strings.Replacer }

// NewRedactor makes one that also knows values, such as those of the cluster's
// Secrets, as they are and in base64.
func NewRedactor(values []string) Redactor {
	var pairs []string
	add := func(text string) {
		if len(strings.TrimSpace(text)) >= shortest {
			pairs = append(pairs, text, mark)
		}
	}
	// The replacer takes the first that fits: a value before one that begins it.
	values = slices.Clone(values)
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	for _, value := range values {
		add(value)
		add(strings.TrimSpace(value))
		add(base64.StdEncoding.EncodeToString([]byte(value)))
		add(base64.RawURLEncoding.EncodeToString([]byte(value)))
	}
	return Redactor{strings.NewReplacer(pairs...)}
}

// Redact is the text without secrets.
func (r Redactor) Redact(text string) string {
	if r.known != nil {
		text = r.known.Replace(text)
	}
	for _, p := range patterns {
		if p.NumSubexp() > 0 {
			text = p.ReplaceAllString(text, "${1}"+mark)
		} else {
			text = p.ReplaceAllString(text, mark)
		}
	}
	return text
}
