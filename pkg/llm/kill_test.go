package llm

func child() bool { return false }
