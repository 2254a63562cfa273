"""later"""
def generate(contract, folder):
    pass
