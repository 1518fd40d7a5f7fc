// Package golden has example Pods in testdata. NAME.yaml is a Pod as submitted. Beside it, NAME.admitted.yaml is the same
// Pod as the webhook admits it, or NAME.denied.txt has the sentences with which the webhook denies it.
//
// A new NAME.yaml is tested without a change of the code. A .admitted.yaml or .denied.txt without its NAME.yaml fails the
// test. UPDATE_GOLDEN=1 go test ./test/golden writes the outcomes. Comments at the top of NAME.yaml set the user's
// identity, the namespace's Pod Security Standard and the configuration. Another key in such a comment is an error:
//
//	# identity: 5003:6003:7001     the user's identity, with discovery at admission; without this line, discovery is at start
//	# namespace: restricted        the namespace enforces the Pod Security Standard restricted
//	# config: directories.yaml     a configuration of testdata/config; without this line, the defaults
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

// Case is one example Pod, with the identity, the namespace's Pod Security level and the configuration with which the webhook
// decides about the Pod. If Identity is nil, discovery is at start.
type Case struct {
	Name string
	// YAML is the text of the file. JSON is the same Pod in JSON, without the defaults of an API server.
	YAML, JSON []byte
	Identity   *identity.Identity
	Restricted bool
	Config     *config.Config

	// shared is the webhook that all calls of Decide and Verify use. If it is nil, each call builds a webhook.
	shared *webhook.Webhook
}

// Cases returns all cases, sorted by file name.
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
		if err := c.set(key, value); err != nil {
			return c, err
		}
	}
	return c.WithSharedWebhook(), lines.Err()
}

func (c *Case) set(key, value string) error {
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
	default:
		if value != "" && !strings.Contains(key, " ") {
			return fmt.Errorf("%s: the comment has %q, which is none of identity, namespace, config", c.Name, key)
		}
	}
	return nil
}

// WithSharedWebhook returns a copy of the case whose Decide and Verify share one webhook. Without it, each call builds a
// webhook, which takes longer than the decision. The copy ignores later changes of Identity and Config.
func (c Case) WithSharedWebhook() Case {
	c.shared = c.webhook()
	return c
}

func (c Case) webhook() *webhook.Webhook {
	if c.shared != nil {
		return c.shared
	}
	if c.Identity == nil {
		return webhook.New(c.Config, nil)
	}
	return webhook.New(c.Config, c)
}

// Find returns the identity of the case. By Find and FindUncached, a Case implements webhook.Identities.
func (c Case) Find(context.Context, user.Name) (*identity.Identity, error) { return c.Identity, nil }

// FindUncached is the same as Find, because a Case caches nothing.
func (c Case) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return c.Find(ctx, name)
}

// Decide returns the webhook's decision about a Pod, with the identity, the level and the configuration of the case.
func (c Case) Decide(pod []byte) webhook.Decision {
	return c.webhook().Decide(context.Background(), c.review(pod))
}

// Verify returns the verifier's decision about a Pod, with the identity, the level and the configuration of the case.
func (c Case) Verify(pod []byte) webhook.Decision {
	return c.webhook().Verify(context.Background(), c.review(pod))
}

func (c Case) review(pod []byte) webhook.Review {
	return webhook.Review{Pod: pod, Namespace: "jupyter-system", Restricted: c.Restricted}
}
