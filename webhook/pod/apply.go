package pod

import (
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"
	operations "gomodules.xyz/jsonpatch/v2"
)

// Apply applies operations to a document as an API server does. Fields that no operation names keep their values.
func Apply(document []byte, ops []operations.Operation) ([]byte, error) {
	if len(ops) == 0 {
		return document, nil
	}
	patch, err := jsonpatch.DecodePatch(AppendPatch(nil, ops))
	if err != nil {
		return nil, fmt.Errorf("decode the patch: %w", err)
	}
	options := jsonpatch.NewApplyOptions()
	options.EscapeHTML = false
	patched, err := patch.ApplyWithOptions(document, options)
	if err != nil {
		return nil, fmt.Errorf("apply the patch: %w", err)
	}
	return patched, nil
}
