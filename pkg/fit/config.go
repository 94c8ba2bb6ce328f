package fit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"silverbeam/pkg/net"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/volume"
)

// Files of a model folder.
const (
	configFile     = "config.json" // written last: a folder that has it holds a whole model
	weightsFile    = "model.safetensors"
	vocabFile      = "vocab.txt" // with a text tower
	checkpointFile = "checkpoint.safetensors"
)

// method is part of every identity: a change of what training computes, its augmentation or its constants, changes it.
const method = "silverbeam.fit.5"

// Config is config.json: what a model is and what it was made of.
type Config struct {
	Method string `json:"method"`
	Recipe string `json:"recipe"`

	Width      int         `json:"width"`                // channels of the vision tower's first stage
	Stem       int         `json:"stem"`                 // edge and stride of its first convolution, in voxels
	Text       *net.Bert   `json:"text,omitempty"`       // the text tower; nil: none
	Embeddings *Embeddings `json:"embeddings,omitempty"` // what texts are embedded by in place of a text tower; nil: nothing
	Dim        int         `json:"dim,omitempty"`        // of the common space of both towers

	Tokens int `json:"tokens,omitempty"` // length of a text, [CLS] and [SEP] included

	Preset       volume.Preset `json:"preset"`
	PresetDigest string        `json:"preset_digest"`
	Findings     []string      `json:"findings"`       // the columns of the logits
	Taxonomy     string        `json:"taxonomy"`       // digest
	Dataset      string        `json:"dataset"`        // digest of the manifest
	Init         string        `json:"init,omitempty"` // digest of the initial model's weights
	VisionFrom   *Pretrained   `json:"vision_from,omitempty"`
	TextFrom     *Pretrained   `json:"text_from,omitempty"`
	Trainable    []string      `json:"trainable,omitempty"` // Options.Trainable

	Command []string          `json:"command,omitempty"` // of a model that another program made: Command.Args
	Files   map[string]string `json:"files,omitempty"`   // likewise, Command.Files: name → hex SHA-256

	DType   string  `json:"dtype,omitempty"` // of products; left out: f32
	Epochs  int     `json:"epochs"`
	Batch   int     `json:"batch"`
	LR      float64 `json:"lr"`
	Seed    uint64  `json:"seed"`
	Sample  string  `json:"sample,omitempty"`
	Augment string  `json:"augment,omitempty"`
	Share   float64 `json:"share,omitempty"`  // of the training patients; left out: all
	Window  int     `json:"window,omitempty"` // studies that are mixed; left out: all

	Accumulate int  `json:"accumulate,omitempty"` // parts that a batch is taken in; left out: 1
	FrozenBN   bool `json:"frozen_bn,omitempty"`  // of the vision tower

	Objectives []Objective `json:"objectives,omitempty"` // left out: bce, for clip contrastive

	Validate string   `json:"validate,omitempty"`  // Options.Validate
	Patience int      `json:"patience,omitempty"`  // Options.Patience
	Chosen   []string `json:"chosen_on,omitempty"` // splits that have chosen an epoch of this model or of the initial one: none of them tells how good it is

	Studies  int     `json:"studies"`               // that it was trained on
	Steps    int     `json:"steps"`                 // of all epochs
	Identity string  `json:"identity"`              // hex SHA-256 of everything above
	Weights  string  `json:"weights"`               // hex SHA-256 of model.safetensors; "" while in training
	Loss     float64 `json:"loss"`                  // mean over the last epoch that was trained
	Taken    int     `json:"steps_taken,omitempty"` // where validation ended it early; left out: all
	Best     int     `json:"best_epoch,omitempty"`  // from 1: whose weights these are; left out: the last's, nothing chose
	Valid    float64 `json:"valid_loss,omitempty"`  // of that epoch, on what Validate names
	Seconds  float64 `json:"seconds"`               // of training
	CPU      float64 `json:"cpu_seconds"`
	GPU      float64 `json:"gpu_seconds,omitempty"`
	Frozen   *Frozen `json:"frozen,omitempty"` // what Trainable leaves out; left out: nothing was
}

// identify fills Identity.
func (c *Config) identify() {
	named := *c
	named.Identity, named.Weights, named.Loss, named.Seconds, named.CPU = "", "", 0, 0, 0
	named.Taken, named.Best, named.Valid, named.Frozen, named.GPU = 0, 0, 0, nil, 0
	if c.Embeddings != nil {
		named.Embeddings = &Embeddings{Digest: c.Embeddings.Digest} // a width is known when there are vectors
	}
	b, err := json.Marshal(named)
	if err != nil {
		panic("fit: " + err.Error()) // numbers are checked to be finite
	}
	c.Identity = hexDigest(b)
}

func hexDigest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// visual is the vision tower that the configuration describes.
func (c *Config) visual() net.ResNet3D {
	return net.ResNet3D{Width: c.Width, Kernel: [3]int{c.Stem, c.Stem, c.Stem}, Classes: len(c.Findings), FrozenBN: c.FrozenBN}
}

// clip is the pair of towers that the configuration describes.
func (c *Config) clip() net.CLIP {
	v := c.visual()
	v.Classes = 0
	o := net.CLIP{Visual: v, Dim: c.Dim, Losses: weighted(c.Objectives), Classes: len(c.Findings)}
	if c.Embeddings != nil {
		o.Given = c.Embeddings.Width
	} else {
		o.Text = *c.Text
	}
	return o
}

// ReadConfig reads a finished model's config.json; fs.ErrNotExist if there is none.
func ReadConfig(dir string) (*Config, error) {
	path := filepath.Join(dir, configFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &Config{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func (c *Config) write(dir string) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return shard.WriteFile(filepath.Join(dir, configFile), append(b, '\n'))
}

// finished says whether dir holds the model that c describes, with its weights unharmed, and completes c from it.
func (c *Config) finished(dir string) (bool, error) {
	old, err := ReadConfig(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || old.Identity != c.Identity {
		return false, nil // another model, or none that can be read: it is made anew
	}
	b, err := os.ReadFile(filepath.Join(dir, weightsFile))
	if err != nil || hexDigest(b) != old.Weights {
		return false, nil
	}
	*c = *old
	return true, nil
}
