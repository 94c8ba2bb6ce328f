"""The peer of label-reports on Apache Beam's Python SDK: read, decode, 18 keyword matches, write a Parquet table.

Usage: python beam_keywords.py IN.csv OUT plain|regex [Beam's options, such as --runner=FnApiRunner]
IN has the columns id and report, one row a line. It does much less than a rule labeler: a finding is present where one
of its words stands, denied or not; `plain` looks for them anywhere, `regex` at the start of a word. The last line says
what it took; processes that it started and that have ended, such as a runner, are counted.
"""
import csv
import re
import resource
import sys
import time

import apache_beam as beam
import pyarrow
from apache_beam.options.pipeline_options import PipelineOptions

WORDS = {
    "Medical material": ["pacemaker", "catheter", "stent", "sternotomy", "prosthe"],
    "Arterial wall calcification": ["aortic calcif", "calcified plaques in the aort", "atheroma"],
    "Cardiomegaly": ["cardiomegaly", "heart is enlarged", "heart size is increased"],
    "Pericardial effusion": ["pericardial effusion", "pericardial fluid"],
    "Coronary artery wall calcification": ["coronary"],
    "Hiatal hernia": ["hiatal hernia", "hiatus hernia"],
    "Lymphadenopathy": ["lymphadenopath", "enlarged lymph node"],
    "Emphysema": ["emphysema"],
    "Atelectasis": ["atelecta"],
    "Lung nodule": ["nodul"],
    "Lung opacity": ["opacit", "ground glass", "ground-glass"],
    "Pulmonary fibrotic sequela": ["fibro", "sequela"],
    "Pleural effusion": ["pleural effusion", "pleural fluid"],
    "Mosaic attenuation pattern": ["mosaic"],
    "Peribronchial thickening": ["peribronchial"],
    "Consolidation": ["consolidat"],
    "Bronchiectasis": ["bronchiecta"],
    "Interlobular septal thickening": ["septal thickening"],
}
PATTERNS = [(name, re.compile(r"\b(?:%s)" % "|".join(words))) for name, words in WORDS.items()]
SCHEMA = pyarrow.schema([("id", pyarrow.string())] + [(name, pyarrow.int8()) for name in WORDS])


def decode(line):
    return next(csv.reader([line]))


def plain(row):
    text = row[1].lower()
    return {"id": row[0], **{name: int(any(w in text for w in words)) for name, words in WORDS.items()}}


def regex(row):
    text = row[1].lower()
    return {"id": row[0], **{name: int(p.search(text) is not None) for name, p in PATTERNS}}


def main():
    source, out, how, *options = sys.argv[1:]
    start = time.time()
    with beam.Pipeline(options=PipelineOptions(options)) as p:
        (p | beam.io.ReadFromText(source, skip_header_lines=1) | beam.Map(decode) | beam.Map({"plain": plain, "regex": regex}[how])
         | beam.io.WriteToParquet(out, SCHEMA, file_name_suffix=".parquet"))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print("wall %.1f s, CPU %.1f s, peak %.0f MiB" % (time.time() - start, sum(u.ru_utime + u.ru_stime for u in used),
          max(u.ru_maxrss for u in used) / 1024))


if __name__ == "__main__":
    main()
