package pipelines

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"

	"github.com/goccy/go-yaml/ast"
)

// decoder reads the config block of one step into its Options, key by key, and remembers where each key stands.
type decoder struct {
	*reader
	step   string
	where  map[string]ast.Node // by dotted key: the value's node
	hidden map[string]string   // by dotted key: a value from the environment, as it was written
	broken map[string]bool     // keys that are wrong already, so that Validate's word on them adds nothing
}

// decode fills o and validates it.
func (r *reader) decode(step string, config ast.Node, at ast.Node, o Options) {
	d := decoder{r, step, map[string]ast.Node{}, map[string]string{}, map[string]bool{}}
	if !empty(config) {
		at = config
		d.mapping("", config, reflect.ValueOf(o).Elem())
	}
	d.validate(at, o.Validate())
	if t, ok := o.(interface {
		Taxonomy() (*taxonomy.Taxonomy, error)
	}); ok && !d.broken["findings"] {
		if _, err := t.Taxonomy(); err != nil {
			if n := d.where["findings"]; n != nil {
				at = n
			}
			d.bad(at, d.step, "", "findings: %s", strings.Join(strings.Fields(err.Error()), " "))
		}
	}
}

// validate places each of Validate's errors at the key that it names, or at the config block.
func (d decoder) validate(at ast.Node, err error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			d.validate(at, e)
		}
		return
	}
	var f schemas.FieldError
	if !errors.As(err, &f) {
		d.bad(at, d.step, "", "%v", err)
		return
	}
	if d.broken[f.Field] {
		return
	}
	nearest := Nearest(fmt.Sprint(f.Value), f.Known())
	if raw, ok := d.hidden[f.Field]; ok {
		f.Value, nearest = raw, ""
	}
	if n := d.where[f.Field]; n != nil {
		at = element(n, f.Value)
	}
	d.bad(at, d.step, nearest, "%v", f)
}

// element is the entry of a list that holds value, or the node itself.
func element(n ast.Node, value any) ast.Node {
	if list, ok := n.(*ast.SequenceNode); ok {
		for _, e := range list.Values {
			if s, ok := e.(*ast.StringNode); ok && s.Value == value {
				return e
			}
		}
	}
	return n
}

// mapping decodes into a struct; path is the dotted key of n, "" for the config block.
func (d decoder) mapping(path string, n ast.Node, v reflect.Value) {
	list, ok := entries(n)
	if !ok {
		d.wrong(path, n, "a mapping")
		return
	}
	fields := fieldsOf(v)
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	seen := map[string]bool{}
	for _, e := range list {
		key := strings.TrimPrefix(path+"."+e.key, ".")
		i := slices.Index(names, e.key)
		switch {
		case seen[e.key]:
			d.bad(e.at, d.step, "", "duplicate key %q", key)
		case i < 0:
			near := Nearest(e.key, names)
			d.broken[strings.TrimPrefix(path+"."+near, ".")] = true
			d.bad(e.at, d.step, near, "unknown key %q", key)
		default:
			d.where[key] = e.value
			if empty(e.value) {
				d.where[key] = e.at
			}
			d.value(key, e.value, fields[i].value)
		}
		seen[e.key] = true
	}
}

type field struct {
	name  string
	value reflect.Value
}

// fieldsOf lists a struct's fields by their yaml names; inline structs give theirs.
func fieldsOf(v reflect.Value) (fields []field) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			fields = append(fields, fieldsOf(v.Field(i))...)
		case name != "" && name != "-" && f.IsExported():
			fields = append(fields, field{name, v.Field(i)})
		}
	}
	return fields
}

func (d decoder) wrong(path string, n ast.Node, wants string) {
	d.broken[path] = true
	what := has(n)
	if s, ok := n.(*ast.StringNode); ok {
		if v, _ := d.peek(s); v.filled {
			what = fmt.Sprintf("the text %q", clip(v.shown()))
		}
	}
	if path == "" {
		path = "config"
	}
	d.bad(n, d.step, "", "%s: wants %s, has %s", path, wants, what)
}

// value decodes n into v; nothing, or a parameter that is empty, leaves v zero, which is the default.
func (d decoder) value(path string, n ast.Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if !empty(n) {
			d.mapping(path, n, v)
		}
		return
	case reflect.Slice:
		d.list(path, n, v)
		return
	}
	before := len(d.problems)
	s, ok := d.scalar(n, d.step)
	if len(d.problems) > before {
		d.broken[path] = true
		return
	}
	if ok && unclosed(s.raw) {
		d.broken[path] = true
		d.bad(n, d.step, "", "%s: a reference begins with ${ and does not end with }", path)
		return
	}
	if s.hidden {
		d.hidden[path] = s.raw
	}
	if empty(n) || s.filled && s.text == "" {
		return
	}
	if !ok || !assign(s, n, v) {
		d.wrong(path, n, wants(v.Type()))
	}
}

// list decodes a sequence; one text with commas is a list too, so that a parameter can hold one.
func (d decoder) list(path string, n ast.Node, v reflect.Value) {
	if seq, ok := n.(*ast.SequenceNode); ok {
		v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
		for i, e := range seq.Values {
			d.value(path, e, v.Index(i))
		}
		return
	}
	if _, ok := n.(*ast.StringNode); !ok || v.Type().Elem().Kind() != reflect.String {
		if !empty(n) {
			d.wrong(path, n, wants(v.Type()))
		}
		return
	}
	var text string
	d.value(path, n, reflect.ValueOf(&text).Elem())
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			v.Set(reflect.Append(v, reflect.ValueOf(part).Convert(v.Type().Elem())))
		}
	}
}

var duration = reflect.TypeFor[time.Duration]()

// assign sets v to the scalar at n if its type is right: as written, or as parameters made it.
func assign(s scalar, n ast.Node, v reflect.Value) bool {
	_, text := n.(*ast.StringNode)
	_, block := n.(*ast.LiteralNode)
	quoted := (text || block) && !s.filled // a text as written is no number, even if it looks like one
	switch k := v.Kind(); {
	case v.Type() == duration:
		t, err := time.ParseDuration(s.text)
		v.SetInt(int64(t))
		return err == nil
	case k == reflect.String:
		v.SetString(s.text)
		return text || block
	case quoted:
		return false
	case k == reflect.Bool:
		v.SetBool(s.text == "true")
		return s.text == "true" || s.text == "false"
	case v.CanInt():
		i, err := strconv.ParseInt(s.text, 0, 64)
		v.SetInt(i)
		return err == nil && !v.OverflowInt(i)
	case v.CanUint():
		u, err := strconv.ParseUint(s.text, 0, 64)
		v.SetUint(u)
		return err == nil && !v.OverflowUint(u)
	case v.CanFloat():
		f, err := strconv.ParseFloat(s.text, 64)
		v.SetFloat(f)
		return err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	return false
}

// wants names the kind of value that a field takes.
func wants(t reflect.Type) string {
	switch k := t.Kind(); {
	case t == duration:
		return `a duration such as "60s"`
	case k == reflect.String:
		return "text"
	case k == reflect.Bool:
		return "true or false"
	case k == reflect.Float32, k == reflect.Float64:
		return "a number"
	case k == reflect.Slice:
		return "a list"
	case k == reflect.Struct:
		return "a mapping"
	case k >= reflect.Uint && k <= reflect.Uint64:
		return "a whole number, 0 or more"
	}
	return "a whole number"
}
