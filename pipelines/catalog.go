package pipelines

import (
	"silverbeam/transforms/dataset"
	"silverbeam/transforms/evaluate"
	"silverbeam/transforms/intake"
	"silverbeam/transforms/label"
	"silverbeam/transforms/publish"
	"silverbeam/transforms/train"
)

// Catalog lists every step type in the order in which a study meets them.
var Catalog = []Type{
	{Type: intake.Name, Gives: Batches, New: func() Options { return new(intake.Options) },
		Doc: "reads studies: rows of a report table, or a folder of volumes with its reports"},
	{Type: label.ReportsName, Takes: []Kind{Batches}, Gives: Batches, New: func() Options { return new(label.Options) },
		Doc: "gives every study its findings, from its report"},
	{Type: label.TableName, Takes: []Kind{Batches}, Gives: Table, New: func() Options { return new(label.TableOptions) },
		Doc: "writes the labels as Parquet and CSV, a row for every row of the input"},
	{Type: dataset.Name, Takes: []Kind{Batches}, Gives: Shards, New: func() Options { return new(dataset.Options) },
		Doc: "makes training data: one Arrow file a batch of volumes with their labels, and a manifest"},
	{Type: train.Name, Takes: []Kind{Shards, Weights}, Gives: Weights, New: func() Options { return new(train.Options) },
		Names: map[string]Kind{"init": Weights}, Doc: "trains a model on the run's data set"},
	{Type: train.CommandName, Takes: []Kind{Shards, Weights}, Gives: Weights, New: func() Options { return new(train.CommandOptions) },
		Names: map[string]Kind{"init": Weights}, Doc: "has another program train a model on the run's data set"},
	{Type: evaluate.LabelsName, Takes: []Kind{Batches}, Gives: Figures, New: func() Options { return new(evaluate.LabelsOptions) },
		Doc: "compares labels with a truth, finding by finding"},
	{Type: evaluate.ClassifierName, Takes: []Kind{Weights}, Gives: Figures, New: func() Options { return new(evaluate.ScoreOptions) },
		Doc: "scores a supervised model on one split, finding by finding"},
	{Type: evaluate.ZeroShotName, Takes: []Kind{Weights}, Gives: Figures, New: func() Options { return new(evaluate.ZeroShotOptions) },
		Doc: "scores a two-tower model by what its text encoder says of each finding's prompts"},
	{Type: evaluate.RetrievalName, Takes: []Kind{Weights}, Gives: Figures, New: func() Options { return new(evaluate.RetrievalOptions) },
		Doc: "finds volumes by report and by volume, beside the chance of it"},
	{Type: publish.Name, Takes: []Kind{Run}, Gives: Page, New: func() Options { return new(publish.Options) },
		Doc: "shows the run as one HTML page"},
}
