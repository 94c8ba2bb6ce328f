package flink

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// options are the pipeline options of Beam's Flink runner that matter to a job that ends, as org.apache.beam.runners.flink's
// FlinkPipelineOptions 2.62 has them, in the form that job servers take.
var options = map[string]func(string) error{
	"disable_metrics":                 truth,
	"execution_mode_for_batch":        oneOf("PIPELINED", "PIPELINED_FORCED", "BATCH", "BATCH_FORCED"),
	"execution_retry_delay":           whole(0),
	"job_check_interval_in_secs":      whole(1),
	"max_parallelism":                 whole(1),
	"number_of_execution_retries":     whole(0),
	"object_reuse":                    truth,
	"operator_chaining":               truth,
	"parallelism":                     func(string) error { return errors.New("--parallelism says it") },
	"re_iterable_group_by_key_result": truth,
	"sdk_worker_parallelism":          whole(1),
}

// unfit are options of jobs that do not end, or that have another place here.
var unfit = map[string]string{
	"streaming":              "a pipeline ends: it runs as a batch job",
	"checkpointing_interval": "it is for jobs that do not end; a run resumes from its folder and the results store",
	"savepoint_path":         "it is for jobs that do not end; a run resumes from its folder and the results store",
	"flink_master":           "--flink-master says it",
	"job_endpoint":           "--job-endpoint says it",
	"environment_type":       "--workers says it",
	"runner":                 "--runner says it",
}

// OptionNames are the options that CheckOption knows.
func OptionNames() []string { return slices.Sorted(maps.Keys(options)) }

// ErrUnknownOption says that an option is none of OptionNames.
var ErrUnknownOption = errors.New("no option of Flink's runner")

// CheckOption says what is wrong with a pipeline option of Flink's runner.
func CheckOption(name, value string) error {
	if why, is := unfit[name]; is {
		return fmt.Errorf("%s: %s", name, why)
	}
	check, known := options[name]
	if !known {
		return fmt.Errorf("%s: %w", name, ErrUnknownOption)
	}
	if err := check(value); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func truth(v string) error { return oneOf("true", "false")(v) }

func oneOf(values ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(values, v) {
			return fmt.Errorf("%q: one of %s", v, strings.Join(values, ", "))
		}
		return nil
	}
}

func whole(least int) func(string) error {
	return func(v string) error {
		if n, err := strconv.Atoi(v); err != nil || n < least {
			return fmt.Errorf("%q: a whole number of %d or more", v, least)
		}
		return nil
	}
}
