"""PersonalDataService: what this service holds of a person."""
