"""The report's sections, one file each; `evaluations.EVALUATIONS` has their order."""
