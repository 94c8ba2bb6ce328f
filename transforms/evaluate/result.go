package evaluate

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"

	"silverbeam/pkg/shard"
	"silverbeam/schemas"
)

// save writes a result to eval/NAME.json.
func save(run schemas.Run, name string, result any) (schemas.Model, error) {
	p, err := json.MarshalIndent(result, "", " ")
	if err != nil {
		return schemas.Model{}, err
	}
	rel := filepath.Join("eval", name+".json")
	m := schemas.Model{Step: name, Path: rel, Digest: fmt.Sprintf("%x", sha256.Sum256(p))}
	return m, shard.WriteFile(filepath.Join(run.Dir, rel), append(p, '\n'))
}
