"""Writes N made-up chest CT reports of some 270 bytes, one a line, for benchmarks: python reports.py N OUT.csv"""
import random
import sys

SIDES = ["right upper lobe", "left upper lobe", "middle lobe", "lingula", "right lower lobe", "left lower lobe"]
FOUND = ["A {n} mm nodule is seen in the {s}.", "Linear atelectasis is present in the {s}.", "Emphysema is seen in the {s}.",
         "A ground glass area is observed in the {s}.", "Consolidation is present in the {s}.", "Bronchiectasis is noted in the {s}.",
         "Calcified plaques are seen in the coronary arteries.", "The heart is enlarged.", "There is a small hiatal hernia."]
DENIED = ["No pleural effusion was detected.", "Pericardial effusion was not observed.", "No enlarged lymph nodes are seen.",
          "Heart size is normal.", "No nodule or consolidation was found.", "The main airways are open."]

rng = random.Random(1)
with open(sys.argv[2], "w") as out:
    out.write("id,report\n")
    for i in range(int(sys.argv[1])):
        text = rng.sample(DENIED, 4) + [rng.choice(FOUND).format(n=rng.randint(3, 30), s=rng.choice(SIDES)) for _ in range(3)]
        rng.shuffle(text)
        out.write('r%07d,"%s"\n' % (i, " ".join(text)))
