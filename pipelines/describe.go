package pipelines

import (
	_ "embed"
	"encoding/json"
	"path"
	"reflect"
	"strings"
	"sync"
)

// optionDocs is made of the comments beside the fields of all Options: TestOptionDocs compares, and -update rewrites it.
//
//go:embed options.json
var optionDocs []byte

var docsByField = sync.OnceValue(func() map[string]string {
	docs := map[string]string{}
	if err := json.Unmarshal(optionDocs, &docs); err != nil {
		panic("pipelines: options.json: " + err.Error())
	}
	return docs
})

// Option is one key of a step's config block.
type Option struct {
	Key  string `json:"key"` // nested keys joined by dots
	Kind string `json:"kind"`
	Doc  string `json:"doc"` // units, bounds and default, as the transform's source says them
	typ  reflect.Type
}

// Describe lists the keys that a type's config block may have.
func (t Type) Describe() []Option {
	return describe("", reflect.TypeOf(t.New()).Elem())
}

func describe(prefix string, t reflect.Type) (options []Option) {
	for f := range t.Fields() {
		name, tag, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case tag == "inline":
			options = append(options, describe(prefix, f.Type)...)
		case name == "" || name == "-":
		default:
			o := Option{prefix + name, wants(f.Type), docsByField()[path.Base(t.PkgPath())+"."+t.Name()+"."+f.Name], f.Type}
			options = append(options, o)
			if f.Type.Kind() == reflect.Struct {
				options = append(options, describe(o.Key+".", f.Type)...)
			}
		}
	}
	return options
}

// Schema is the JSON Schema of pipeline files, for editors.
func Schema() map[string]any {
	var steps []any
	for _, t := range Catalog {
		steps = append(steps, map[string]any{
			"type": "object", "additionalProperties": false, "required": []string{"type"}, "description": t.Doc,
			"properties": map[string]any{
				"name": map[string]any{"type": "string", "pattern": word.String()}, "type": map[string]any{"const": t.Type},
				"input": map[string]any{"type": "string"}, "config": object(reflect.TypeOf(t.New()).Elem())},
		})
	}
	return map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Silverbeam pipeline", "type": "object",
		"additionalProperties": false, "required": []string{"transforms"},
		"properties": map[string]any{
			"name":   map[string]any{"type": "string", "pattern": word.String()},
			"params": map[string]any{"type": "object", "additionalProperties": map[string]any{"type": []string{"string", "number", "boolean", "null"}}},
			"rejects": map[string]any{"type": "object", "additionalProperties": false,
				"properties": map[string]any{"tolerance": map[string]any{"type": []string{"string", "number"}}}},
			"transforms": map[string]any{"type": "array", "minItems": 1, "items": map[string]any{"oneOf": steps}},
		},
	}
}

// object is the schema of a struct. Every single value may also be text with a reference to a parameter in it.
func object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	for _, o := range describe("", t) {
		if strings.Contains(o.Key, ".") {
			continue // its parent's
		}
		s := value(o.typ)
		s["description"] = o.Doc
		properties[o.Key] = s
	}
	return map[string]any{"type": []string{"object", "null"}, "additionalProperties": false, "properties": properties}
}

func value(t reflect.Type) map[string]any {
	const filled = `\$\{[^{}]*\}`
	kind := ""
	switch k := t.Kind(); {
	case k == reflect.Struct:
		return object(t)
	case k == reflect.Slice:
		return map[string]any{"anyOf": []any{map[string]any{"type": "array", "items": value(t.Elem())}, map[string]any{"type": []string{"string", "null"}}}}
	case k == reflect.String, t == duration:
		return map[string]any{"type": []string{"string", "null"}}
	case k == reflect.Bool:
		kind = "boolean"
	case k == reflect.Float32, k == reflect.Float64:
		kind = "number"
	default:
		kind = "integer"
	}
	return map[string]any{"anyOf": []any{map[string]any{"type": []string{kind, "null"}}, map[string]any{"type": "string", "pattern": filled}}}
}
