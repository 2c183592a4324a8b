"""Which models of the zoo do not become an int8 file that answers as they do, and why."""

EXCEPTIONS: dict[str, str] = {
    "efficientnet_b6": "agrees on 76 %: the few hundred steps of the test hardly train it (.69 right before "
    "rounding, .70 after)",
    "efficientnet_b7": "agrees on 56 %: briefly trained to .795, rounding leaves .29 right; "
    "why is not known yet",
    "preact_resnet1001": "rounded, 1001 layers answer by chance (.17 right, five classes; .945 before), and "
    "four steps of fine-tuning mend nothing; file and fine-tuned model agree on 99 % all the same",
}
"""Model name → reason, in one line. A test holds that every other model agrees with its file, and that these
do not, or answer by chance."""
