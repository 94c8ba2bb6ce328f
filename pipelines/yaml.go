package pipelines

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parse reads the one document of a pipeline file. Duplicate keys are left for the reader to report with the rest.
func parse(file string, src []byte) (root ast.Node, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser's own fault on bytes that are no YAML
			root, err = nil, Problems{{File: file, Step: "pipeline", Message: "not YAML"}}
		}
	}()
	f, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, Problems{syntax(file, err)}
	}
	var bodies []ast.Node
	for _, d := range f.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType {
			bodies = append(bodies, d.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil, Problems{{File: file, Step: "pipeline", Message: "the file is empty"}}
	case 1:
		return bodies[0], nil
	}
	line, column := place(bodies[1])
	return nil, Problems{{File: file, Line: line, Column: column, Step: "pipeline", Message: "a second document: a file holds one pipeline"}}
}

// syntax makes a Problem of the parser's error, whose own text shows lines of the file.
func syntax(file string, err error) Problem {
	p := Problem{File: file, Step: "pipeline", Message: "not YAML"}
	var se *yaml.SyntaxError
	if errors.As(err, &se) {
		p.Message = "not YAML: " + se.GetMessage()
		if t := se.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	return p
}

// entry is one key of a mapping.
type entry struct {
	key   string
	at    ast.Node // the key itself
	value ast.Node
}

// entries lists a mapping's keys in their order; ok is false where n is no mapping.
func entries(n ast.Node) (list []entry, ok bool) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, false
	}
	for _, v := range values {
		list = append(list, entry{keyText(v.Key), v.Key, v.Value})
	}
	return list, true
}

func keyText(n ast.Node) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	return strings.TrimSpace(n.GetToken().Value)
}

// empty says that nothing was written where n stands.
func empty(n ast.Node) bool { return n == nil || n.Type() == ast.NullType }

// place is where a node begins: a block mapping at its first key, where its first token would be the colon.
func place(n ast.Node) (line, column int) {
	var t *token.Token
	switch n := n.(type) {
	case nil:
		return 0, 0
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return place(n.Values[0].Key)
		}
		t = n.Start
	case *ast.MappingValueNode:
		return place(n.Key)
	default:
		t = n.GetToken()
	}
	if t == nil || t.Position == nil {
		return 0, 0
	}
	return t.Position.Line, t.Position.Column
}

// has describes what stands at n, for a message about what should.
func has(n ast.Node) string {
	switch n := n.(type) {
	case *ast.NullNode:
		return "nothing"
	case *ast.StringNode:
		return fmt.Sprintf("the text %q", clip(n.Value))
	case *ast.LiteralNode:
		return "a block of text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + clip(n.GetToken().Value)
	case *ast.BoolNode:
		return n.GetToken().Value
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "an anchor or alias, which pipeline files do not know"
	case *ast.TagNode:
		return "a YAML tag, which pipeline files do not know"
	}
	return "something else"
}

// clip keeps a value short enough for one line of a message.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}
