"""Several finished runs made into one: voting, fitted weights, stacking, soups."""
