"""The whole path of one training: prepared, trained or gone on with, measured, exported, reported."""

from pathlib import Path

from imgrec.config import Config


def train(config: Config, command: str = "imgrec") -> int:
    """Train, evaluate, export and report as `config` says; return the exit code.

    An unfinished run of the same settings and data goes on where it was saved last. Several networks, where
    `config.run.members` asks for them, are trained one after the other and put together.

    0: done. 1: an exported file does not answer as the model does (it stays, for inspection).

    Raises:
        InputError: bad settings or data; `config.run.out` is then as it was.
        WorkerLost: another host of the training does not answer.
    """
    if config.run.members:
        from imgrec.runs.ensembles.training import train_members

        return train_members(config, command)
    from imgrec import bundle
    from imgrec.frameworks import import_frameworks
    from imgrec.runs import resume
    from imgrec.runs.child import hand_over

    out = Path(config.run.out)
    bundle.check_out(out)
    before = resume.find(out, config)
    import_frameworks()
    from imgrec import runtime
    from imgrec.runs.session import prepare

    session = prepare(config, command, before)
    from imgrec.runs import fitting, preview, results

    if config.run.preview:
        return preview.preview(session, out)
    if config.run.lr_find:
        return preview.lr_find(session, out)
    with session.team.together():
        folder = fitting.run_folder(session, out, before)
        fitted = fitting.fit_session(session, folder)
    if not session.team.is_chief:
        number = session.team.index
        print(f"\nworker {number}: done; worker 0 measures, exports and writes {out}", flush=True)
        return 0
    if runtime.backend() != "tensorflow":
        return hand_over(session.asked, folder, out)
    return results.finish(session, folder, out, fitted)
