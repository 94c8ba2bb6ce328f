"""The peer of `silverbeam label reports` on Apache Beam's Python SDK: read a CSV, decode, 18 keyword matches, write.

Usage: python beam_keywords.py IN.csv OUT   (columns id, report; one report a line)
It does much less than a rule labeler: a finding is present where one of its words stands, denied or not.
"""
import csv
import resource
import sys
import time

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

WORDS = ["pacemaker", "aortic calcification", "cardiomegaly", "pericardial effusion", "coronary", "hiatal hernia",
         "lymphadenopathy", "emphysema", "atelectasis", "nodule", "ground glass", "fibrotic", "pleural effusion",
         "mosaic", "peribronchial", "consolidation", "bronchiectasis", "septal thickening"]


def label(line):
    row = next(csv.reader([line]))
    text = row[1].lower()
    return ",".join([row[0]] + ["1" if w in text else "0" for w in WORDS])


if __name__ == "__main__":
    start = time.time()
    with beam.Pipeline(options=PipelineOptions(["--runner=DirectRunner"])) as p:
        (p | beam.io.ReadFromText(sys.argv[1], skip_header_lines=1) | beam.Map(label)
         | beam.io.WriteToText(sys.argv[2], file_name_suffix=".csv"))
    u = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print("wall %.1f s, cpu %.1f s, peak %.0f MiB" % (
        time.time() - start, sum(x.ru_utime + x.ru_stime for x in u), max(x.ru_maxrss for x in u) / 1024))
