"""Writes into wordpiece.json the ids that Hugging Face's tokenizers gives its texts: python make.py, with tokenizers."""
import json
import tokenizers

golden = json.load(open("wordpiece.json"))
bert = tokenizers.BertWordPieceTokenizer({w: i for i, w in enumerate(golden["vocab"])}, lowercase=True)
for case in golden["cases"]:
    case["ids"] = bert.encode(case["text"]).ids
golden["made_with"] = f"tokenizers {tokenizers.__version__} BertWordPieceTokenizer(lowercase=True)"
json.dump(golden, open("wordpiece.json", "w"), indent=0, ensure_ascii=True)
