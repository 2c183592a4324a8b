"""imgrec's commands with the toys of this folder registered: `python toy.py train|predict words…`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from angle import Angle
from shrink import Shrink

from imgrec.tasks import TASKS

TASKS["angle"] = Angle

if __name__ == "__main__":
    from pipelines import predict, train
    from pipelines.cli import guarded

    command, *words = sys.argv[1:]
    if command == "train":
        from imgrec.evaluation.evaluated import Section
        from imgrec.evaluation.evaluations import EVALUATIONS
        from imgrec.learning.methods import METHODS

        METHODS["shrink"] = Shrink
        EVALUATIONS["turned"] = lambda given: Section(
            title="Turned bars",
            template="<p>Within 20°: {{ share }}</p>",
            data={"share": given.figures["within"]},
            json={"turned": {"within": given.figures["within"]}},
        )
        guarded(lambda: train.main(words))
    guarded(lambda: predict.main(words))
