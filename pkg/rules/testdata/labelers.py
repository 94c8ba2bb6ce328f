"""Runs our rules and their peers over the same made-up reports, one core each, in turns, and prints a table of medians.

Usage: python labelers.py RULES_TEST ROUNDS [SARLE]   (from the project's root; see `make bench-peers`)
RULES_TEST is the compiled test of pkg/rules, which also writes the reports (64 of about 280 words); SARLE is a checkout of
sarle-labeler, which no registry has. medspaCy runs its own sentences and ConText rules, with the names and synonyms of ctrate-18
as targets; SARLE its rules and vocabulary for CT. CPU is user and system time: of the whole process for ours, start
included, of labelling alone for the peers. Peak is the resident memory of the process.
"""
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import time

work = pathlib.Path(".cache/labelers-work").absolute()
reports, log = work / "reports.txt", work / "log"
PASSES = {"silverbeam": 1000, "medspaCy": 2, "SARLE": 1}  # over the reports, in a round


def medspacy(texts):
    import medspacy as spacy
    import srsly
    from medspacy.ner import TargetRule
    nlp = spacy.load()  # PyRuSH, target matcher, ConText with its default rules
    findings = srsly.read_yaml("pkg/taxonomy/ctrate-18.yaml")["findings"]
    nlp.get_pipe("medspacy_target_matcher").add(
        [TargetRule(name, f["finding"]) for f in findings for name in [f["finding"], *f["synonyms"]]])

    def label():
        return sum(not e._.is_negated for text in texts for e in nlp(text).ents)
    return label


def sarle(texts, checkout):
    sys.path.insert(0, checkout)
    import pandas
    from src import load, sentence_rules, term_search

    def label():
        rows = [[load.full_clean_cxr(s), f"r{k}", "Findings"] for k, text in enumerate(texts) for s in text.split(". ")]
        data = pandas.DataFrame(rows, columns=["Sentence", "Filename", "Section"])
        data = sentence_rules.ApplyRules(data, "predict", "duke_ct_rules").data_processed
        found = term_search.RadLabel(data, "predict", "other", "", run_locdis_checks=True, save_output_files=False)
        return int(found.disease_out.to_numpy().sum())
    return label


def peer(name, passes, *checkout):
    """The child: prints the CPU seconds of all passes and how many findings a pass found."""
    texts = reports.read_text().splitlines()
    with contextlib.redirect_stdout(sys.stderr):
        label = {"medspaCy": medspacy, "SARLE": sarle}[name](texts, *checkout)
        start = time.process_time()
        found = [label() for _ in range(int(passes))]
        used = time.process_time() - start
    print(used, found[0])


def took(name, checkout):
    """CPU milliseconds a report, and peak MiB."""
    passes = PASSES[name]
    if name == "silverbeam":
        command = [rules, "-test.run", "^$", "-test.bench", "^BenchmarkLabel$", "-test.cpu", "1", "-test.benchtime", f"{64 * passes}x"]
    else:
        command = [sys.executable, __file__, "peer", name, str(passes), *checkout]
    with open(log, "a") as err:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True,
                                 env={**os.environ, "SILVERBEAM_REPORTS": str(reports), "OMP_NUM_THREADS": "1"})
        said = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{name}: status {status}; see {log}")
    cpu = used.ru_utime + used.ru_stime
    if name != "silverbeam":
        cpu, found = float(said.split()[0]), int(said.split()[1])
        if found < 64:  # it labels
            sys.exit(f"{name}: {found} findings in 64 reports")
    return cpu / (64 * passes) * 1000, used.ru_maxrss / 1024


if sys.argv[1] == "peer":
    peer(*sys.argv[2:])
    sys.exit()
rules, rounds, *checkout = sys.argv[1:]
rules = os.path.abspath(rules)
work.mkdir(parents=True, exist_ok=True)
names = ["silverbeam", "medspaCy"] + ["SARLE"] * len(checkout)
figures = {name: [] for name in names}
for k in range(int(rounds)):
    for name in names:
        figures[name].append(took(name, checkout if name == "SARLE" else []))
        print("round %d, %s: %.3f CPU ms a report, %.0f MiB" % (k + 1, name, *figures[name][-1]), file=sys.stderr)
ours = statistics.median(cpu for cpu, _ in figures["silverbeam"])
print("| | reports/s on one core | in the best round | CPU ms a report | CPU, ours = 1 | peak MiB |\n|---|---|---|---|---|---|")
for name, f in figures.items():
    cpu, peak = (statistics.median(column) for column in zip(*f))
    print(f"| {name} | {1000 / cpu:,.0f} | {1000 / min(f)[0]:,.0f} | {cpu:.3f} | {cpu / ours:,.0f} | {peak:.0f} |")
