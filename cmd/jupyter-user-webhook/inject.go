package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	kjson "sigs.k8s.io/json"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user/hubnames"
)

type injectOptions struct {
	file       string
	config     string
	namespace  string
	identity   string
	home       string
	restricted bool
	output     string
	explain    bool
}

func injectCommand() *cobra.Command {
	o := injectOptions{}
	cmd := &cobra.Command{
		Use:   "inject -f pod.yaml",
		Short: "Show what the webhook makes of Pods, without a cluster",
		Long: `Show what the webhook makes of Pods, without a cluster.

The file is YAML or JSON, with several documents and Lists too. Other kinds, and
Pods that are not claimed, are written as they are. If a Pod would be denied,
inject writes nothing, prints the denial on standard error, and exits with 1.

--explain writes text for a reader instead of -o: the user, the notebook
container and the discovery of each Pod, and why; what is done with each field and
whose the field is; the warnings; and the Pod Security level that the Pod meets as
submitted and as admitted. --explain and -o together are an error.`,
		Example: `  jupyter-user-webhook inject -f pod.yaml -o diff
  jupyter-user-webhook inject -f pod.yaml --explain
  kubectl run nb --image=x --labels=jupyter-user=alice --dry-run=client -o yaml |
    jupyter-user-webhook inject -f - --identity 5001:6001`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "filename", "f", "", "file to read, - for standard input")
	f.StringVar(&o.config, "config", "", "configuration file; without it the default configuration")
	f.StringVarP(&o.namespace, "namespace", "n", "", "namespace of the request (default: the Pod's own, or default)")
	f.StringVar(&o.identity, "identity", "", "UID:GID[:gid,gid] of the user, as if known at admission; without it the Pod "+
		"finds it at start")
	f.StringVar(&o.home, "home", "", "home field of the directory service, as /hpc/home/a/alice, where share.homePrefix is set; "+
		"with --identity")
	f.BoolVar(&o.restricted, "restricted", false, "decide as in a namespace that enforces the Pod Security Standard restricted")
	f.StringVarP(&o.output, "output", "o", "yaml", "yaml, json, patch (the JSON Patch) or diff")
	f.BoolVar(&o.explain, "explain", false, "explain what the webhook does with each Pod, and why, instead of -o")
	cmd.MarkFlagsMutuallyExclusive("explain", "output")
	_ = cmd.MarkFlagRequired("filename")
	return cmd
}

func (o injectOptions) run(ctx context.Context, in io.Reader, out, stderr io.Writer) error {
	write, ok := writers[o.output]
	if !ok {
		return fmt.Errorf("-o %q is none of yaml, json, patch, diff", o.output)
	}
	if o.explain {
		write = writeExplanation
	}
	w, err := o.webhook()
	if err != nil {
		return err
	}
	data, err := o.read(in)
	if err != nil {
		return err
	}
	documents, err := split(data)
	if err != nil {
		return fmt.Errorf("read %s: %w", o.file, err)
	}

	denied := false
	for i := range documents {
		for _, pod := range documents[i].pods() {
			denials, err := o.inject(ctx, w, pod, stderr)
			if err != nil {
				return err
			}
			denied = denied || len(denials) > 0
		}
	}
	if denied {
		return errDenied
	}
	return o.write(out, write, documents)
}

// write writes all documents, or nothing after an error.
func (o injectOptions) write(out io.Writer, write func(*bytes.Buffer, []document) error, documents []document) error {
	var text bytes.Buffer
	if err := write(&text, documents); err != nil {
		return err
	}
	if o.output == "diff" && coloured(out) {
		_, err := io.WriteString(out, paint(text.String()))
		return err
	}
	_, err := text.WriteTo(out)
	return err
}

// inject decides about one Pod, and writes the warnings and the denials to stderr. With --explain, it omits the warnings of
// a Pod that is not denied, because the explanation has them.
func (o injectOptions) inject(ctx context.Context, w *webhook.Webhook, document *podDocument, stderr io.Writer,
) ([]denial.Denial, error) {
	namespace := cmp.Or(o.namespace, document.meta.Namespace, "default")
	d := w.Decide(ctx, webhook.Review{Pod: document.raw, Namespace: namespace, Restricted: o.restricted})
	if !o.explain || len(d.Denials) > 0 {
		for _, warning := range d.Warnings {
			_, _ = fmt.Fprintf(stderr, "Warning: %s\n", warning)
		}
	}
	if len(d.Denials) > 0 {
		_, _ = fmt.Fprintf(stderr, "%s is denied (%s): %s\n", document.title(), d.Denials[0].Reason, denial.Join(d.Denials))
		return d.Denials, nil
	}
	admitted, err := pod.Apply(document.raw, d.Operations)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", document.title(), err)
	}
	document.decision, document.admitted = d, unescaped(admitted)
	return nil, nil
}

func (o injectOptions) webhook() (*webhook.Webhook, error) {
	c, err := loadConfig(o.config)
	if err != nil {
		return nil, err
	}
	var identities webhook.Identities
	if o.identity != "" {
		id, err := identity.Parse(o.identity)
		if err != nil {
			return nil, fmt.Errorf("--identity: %w", err)
		}
		id.Home = o.home
		identities = webhook.Fixed{Identity: id}
	}
	if o.home != "" && (o.identity == "" || !c.Share.HomesByField()) {
		return nil, errors.New("--home is the home field that comes with an identity: it needs --identity, and share.homePrefix in " +
			"the configuration")
	}
	w := webhook.New(c, identities)
	if c.User.MapFile == "" {
		return w, nil
	}
	names, err := hubnames.Open(c.User.MapFile, c.User, nil, nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// The file is missing outside of the webhook's Pod. Without the file, the webhook denies a Pod of a hub.
		return w, nil
	case err != nil:
		return nil, fmt.Errorf("user.mapFile: %w", err)
	}
	return w.WithHubNames(names), nil
}

func (o injectOptions) read(in io.Reader) ([]byte, error) {
	if o.file == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(o.file)
}

type podMeta struct {
	Name         string `json:"name"`
	GenerateName string `json:"generateName"`
	Namespace    string `json:"namespace"`
}

func metaOf(raw json.RawMessage) podMeta {
	var object struct {
		Metadata podMeta `json:"metadata"`
	}
	// An unreadable Pod is no error here, because the webhook denies it later.
	_ = kjson.UnmarshalCaseSensitivePreserveInts(raw, &object)
	return object.Metadata
}
