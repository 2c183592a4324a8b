"""Two versions compared while they serve: feedback, a journal, and a judge that may always look."""
