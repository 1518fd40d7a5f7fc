// Package golden is a corpus of pods as submitted and as admitted: NAME.yaml is the pod that somebody wrote, and beside
// it stands NAME.admitted.yaml, the pod that the cluster gets, or NAME.denied.txt, the sentences that the user gets.
//
// A new NAME.yaml runs by itself, an outcome without its pod fails, and UPDATE_GOLDEN=1 go test ./test/golden writes the
// outcomes again. In comments at its top a pod can say what is known besides it:
//
//	# identity: 5003:6003:7001     known at admission; without it, the way at start
//	# namespace: restricted        enforces the Pod Security Standard restricted
//	# config: whole-share.yaml     a file of testdata/config; without it, the defaults
package golden

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

//go:embed testdata
var testdata embed.FS

// Case is one pod of the corpus.
type Case struct {
	Name string
	// YAML is the pod as it was written, JSON the same as an API server sends it.
	YAML, JSON []byte
	Identity   *identity.Identity
	Restricted bool
	Config     *config.Config

	// fixed is the webhook of a case that is Fixed.
	fixed *webhook.Webhook
}

// Cases reads the corpus, in the order of names.
func Cases() ([]Case, error) {
	files, err := fs.Glob(testdata, "testdata/*.yaml")
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".yaml")
		if strings.HasSuffix(name, ".admitted") {
			continue
		}
		c, err := read(name, file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func read(name, file string) (c Case, err error) {
	c = Case{Name: name, Config: config.Default()}
	if c.YAML, err = testdata.ReadFile(file); err != nil {
		return c, err
	}
	if c.JSON, err = yaml.YAMLToJSONStrict(c.YAML); err != nil {
		return c, err
	}
	lines := bufio.NewScanner(bytes.NewReader(c.YAML))
	for lines.Scan() && strings.HasPrefix(lines.Text(), "#") {
		key, value, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "# "), ": ")
		if err := c.say(key, value); err != nil {
			return c, err
		}
	}
	return c.Fixed(), lines.Err()
}

func (c *Case) say(key, value string) error {
	switch key {
	case "identity":
		id, err := identity.Parse(value)
		c.Identity = &id
		return err
	case "namespace":
		c.Restricted = value == "restricted"
	case "config":
		data, err := testdata.ReadFile("testdata/config/" + value)
		if err != nil {
			return err
		}
		c.Config, err = config.Parse(data)
		return err
	}
	return nil
}

// Fixed is the case with the configuration that it has now: to read that takes longer than to decide about a pod.
func (c Case) Fixed() Case {
	c.fixed = c.webhook()
	return c
}

func (c Case) webhook() *webhook.Webhook {
	if c.fixed != nil {
		return c.fixed
	}
	if c.Identity == nil {
		return webhook.New(c.Config, nil)
	}
	return webhook.New(c.Config, c)
}

// Find returns the identity that the case says is known; so that a Case is a webhook.Identities.
func (c Case) Find(context.Context, user.Name) (*identity.Identity, error) { return c.Identity, nil }

// FindUncached is Find: nothing is remembered.
func (c Case) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return c.Find(ctx, name)
}

// Decide runs the webhook on a pod with what is known in this case.
func (c Case) Decide(pod []byte) webhook.Decision {
	return c.webhook().Decide(context.Background(), c.review(pod))
}

// Verify runs the verifier on one.
func (c Case) Verify(pod []byte) webhook.Decision {
	return c.webhook().Verify(context.Background(), c.review(pod))
}

func (c Case) review(pod []byte) webhook.Review {
	return webhook.Review{Pod: pod, Namespace: "jupyter-system", Restricted: c.Restricted}
}
