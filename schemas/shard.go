package schemas

// Shard is what a sink wrote for one batch, or, after all of them, the manifest that names them.
type Shard struct {
	Step   string // the sink's step name
	Batch  string // the batch's id; "" for a manifest
	Index  int    // the batch's position in the input
	Split  string
	File   string // relative to the run folder
	Rows   int
	Digest string // hex SHA-256 of the file; of a manifest: its digest
	Entry  string // what the manifest is to say of the file, as JSON; "" where there is no manifest. Beam's row coder loses a json.RawMessage
}

// Model is a trained model, or the result of an evaluation of one: a folder or file of the run.
type Model struct {
	Step   string // the step that made it
	Path   string // relative to the run folder
	Digest string // hex SHA-256 of the weights or of the result
}
